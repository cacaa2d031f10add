"""The benchmarks of ``scripts/bench-data``: one module each, with a docstring, ``add_options(parser)`` and ``run(options) -> result``.

``run`` prints its table to standard error as it goes and gives what it measured as one JSON object.
"""
