"""Readers: foreign files that are no plain text, taken apart in a child process with limits.

Each reader is one module with ``parts(path, options)``, which gives ``Part`` after ``Part``; ``child`` runs it, and ``ingest/confined``
starts and watches the child. What the parts mean is not known here. A reader and the native library under it may crash, hang or eat memory:
that ends the child and becomes one named error.
"""
