"""transformers without a look into the files of all its models: import names that every stage needs from here.

transformers 5 reads every file below ``models``, some 2,000, whenever it is imported, to learn which names they have: a third of a second.
Here it reads those that are needed. Whoever asks transformers for another name makes it read the rest, once; then it is what it is when it
is imported ordinarily. Where a version of transformers is not made as expected, it is imported ordinarily from the beginning.
"""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

_LIBRARY = "transformers"
_READ = ("auto", "bloom")
"""Folders of which names are used: by the appliance, and by peft."""
_ANOTHER = frozenset({"LlamaConfig"})
"""A name in a folder that is not read at first."""
_TABLES = ("_modules", "_class_to_module", "_object_missing_backend", "_import_structure", "__all__")
"""What transformers' modules know of names."""


def _import_leanly() -> None:
    spec = find_spec(_LIBRARY)
    if _LIBRARY in sys.modules or spec is None or not spec.submodule_search_locations:
        return
    folder = Path(spec.submodule_search_locations[0])
    # The one module that reads the others has to be there before transformers itself is.
    package = ModuleType(_LIBRARY)
    package.__path__ = [str(folder)]
    setattr(package, "__version__", version(_LIBRARY))  # noqa: B010  # mypy knows no such attribute
    sys.modules[_LIBRARY] = package
    reader: Any = import_module(f"{_LIBRARY}.utils.import_utils")
    del sys.modules[_LIBRARY]
    read_all = reader.create_import_structure_from_path
    models = folder / "models"

    def read_some(place: Any) -> Any:
        if Path(place) in (models, models / "__init__.py"):
            return {name: read_all(str(models / name)) for name in _READ}
        return read_all(place)

    _let_grow(reader, {_LIBRARY: (folder, models, "models"), f"{_LIBRARY}.models": (models, models / "__init__.py", None)})
    reader.create_import_structure_from_path = read_some
    try:
        import_module(_LIBRARY)
        import_module(f"{_LIBRARY}.models")
    finally:
        reader.create_import_structure_from_path = read_all


def _let_grow(reader: Any, places: dict[str, tuple[Path, Path, str | None]]) -> None:
    """Make transformers' modules of these names, which know some names, learn all when they are asked for another.

    ``places`` has each one's folder, what is read for it and how names of modules begin. transformers makes its own module twice.
    """
    lazy: Any = reader._LazyModule
    begin, get, list_all = lazy.__init__, lazy.__getattr__, lazy.__dir__

    def knows(module: Any, name: str) -> bool:
        folder, _, prefix = places[module._name]
        # transformers' own modules are asked for before they are imported.
        is_part = prefix is not None and any((folder / part).exists() for part in (name, f"{name}.py"))
        return name in module._class_to_module or name in module._modules or name in module._objects or is_part

    def learn(module: Any) -> None:
        _, place, prefix = places[module._name]
        reader.define_import_structure.cache_clear()
        structure = reader.define_import_structure(str(place), prefix)
        if prefix is not None:
            own = {key: set(names) for key, names in module._import_structure.items() if key.partition(".")[0] != prefix}
            structure.setdefault(frozenset(), {}).update(own)
        whole = lazy.__new__(lazy)
        begin(whole, module._name, module.__file__, structure, module_spec=module.__spec__)
        for table in _TABLES:
            setattr(module, table, getattr(whole, table))

    def grows(module: Any) -> bool:
        return vars(module).get("_name") in places and "__all__" not in vars(module)

    def begin_small(module: Any, name: str, *more: Any, **others: Any) -> None:
        begin(module, name, *more, **others)
        if name in places and not _ANOTHER & module._class_to_module.keys():
            del module.__all__

    def get_any(module: Any, name: str) -> Any:
        if grows(module) and (name == "__all__" or not (name.startswith("__") or knows(module, name))):
            learn(module)
            return getattr(module, name)
        return get(module, name)

    def list_really_all(module: Any) -> Any:
        if grows(module):
            learn(module)
        return list_all(module)

    lazy.__init__, lazy.__getattr__, lazy.__dir__ = begin_small, get_any, list_really_all


def _forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == _LIBRARY]:
        del sys.modules[name]


try:
    _import_leanly()
except (ImportError, AttributeError, KeyError, OSError, TypeError, ValueError):
    _forget()

from transformers import PreTrainedTokenizerFast  # noqa: E402  # now

__all__ = ["PreTrainedTokenizerFast"]
