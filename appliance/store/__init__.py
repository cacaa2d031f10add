"""The store: one SQLite file that remembers datasets, runs and models; the only place with SQL.

sqlite-utils imports numpy and pandas where they are installed, to accept their kinds of numbers. Nothing here stores those, and they would
cost every command 70 ms and every conductor 30 MB, so both are out of sight while sqlite-utils is imported for the first time.
"""

import sys
from importlib import import_module

_UNSEEN = [name for name in ("numpy", "pandas") if name not in sys.modules]
for _name in _UNSEEN:
    sys.modules[_name] = None  # type: ignore[assignment]  # Python's documented way to make an import fail
try:
    import_module("sqlite_utils")
finally:
    for _name in _UNSEEN:
        del sys.modules[_name]
