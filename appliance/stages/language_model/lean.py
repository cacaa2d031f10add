"""Importing libraries without what is never used of them: torch's compiler, and the tools of training on many machines.

transformers, peft and bitsandbytes reach for both at import only to mark a few functions and to name a few types, and that takes a third of
the time until a training starts. Inside ``lean_import`` a stand-in for the compiler leaves functions as they were written, which without
a compilation is what the marks come to. Whatever else is asked of it makes the real compiler take its place; afterwards the stand-in
is gone and ``import torch._dynamo`` gives the real one. The tools of several machines are left out only where there is one process.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

import torch
from torch import distributed

_COMPILER = "torch._dynamo"
_INDICES = f"{_COMPILER}._trace_wrapped_higher_order_op"
_MARKS = ("allow_in_graph", "assume_constant_result", "disable")
"""Decorators that tell the compiler something about a function."""


@contextmanager
def lean_import() -> Iterator[None]:
    """The block in which libraries are imported; where the compiler or they are there already, nothing is left out."""
    compile_with_torch, is_available = torch.compile, distributed.is_available
    hide = getattr(torch, "_disable_dynamo", as_written)
    stand_in = None if _COMPILER in sys.modules else _StandIn()
    _replace(torch, "compile", as_written)
    _replace(torch, "_disable_dynamo", as_written)  # around every kernel of bitsandbytes: its first call would import the compiler
    if os.environ.get("WORLD_SIZE", "1") == "1":
        _replace(distributed, "is_available", bool)
    try:
        yield
    finally:
        _replace(torch, "compile", compile_with_torch)
        _replace(torch, "_disable_dynamo", hide)
        _replace(distributed, "is_available", is_available)
        if stand_in is not None:
            stand_in.leave()


def _replace(module: ModuleType, name: str, value: object) -> None:
    setattr(module, name, value)


def as_written(function: Callable[..., Any] | None = None, *_choices: Any, **_more: Any) -> Any:
    """What a decorator of the compiler's gives, used bare or with choices, but for the compiling."""
    return function if function is not None else lambda later: later


def never_compiled(functions: Iterable[Callable[..., Any]]) -> None:
    """Let functions that torch hides from its compiler be called without importing it; changes nothing in what they do.

    torch imports the compiler at the first call of such a function to make a variant that is not compiled; where nothing is, that is
    the function itself.
    """
    for function in functions:
        inner = getattr(function, "__wrapped__", None)
        if inner is not None and not hasattr(inner, "__dynamo_disable"):
            setattr(inner, "__dynamo_disable", inner)  # a name with two underscores would be mangled in a class


class _TransformGetItemToIndex:
    """A context of the compiler's that transformers names at import and may enter when it makes a mask: then the real one."""

    def __enter__(self) -> Any:
        self._real = getattr(import_module(_INDICES), "TransformGetItemToIndex")()  # noqa: B009  # mypy would follow it
        return self._real.__enter__()

    def __exit__(self, *raised: Any) -> Any:
        return self._real.__exit__(*raised)


class _StandIn(ModuleType):
    """In the compiler's place until ``leave``, or until something of it is needed."""

    def __init__(self) -> None:
        super().__init__(_COMPILER)
        self.__path__: list[str] = []
        for mark in _MARKS:
            setattr(self, mark, as_written)
        indices = ModuleType(_INDICES)
        _replace(indices, "TransformGetItemToIndex", _TransformGetItemToIndex)
        self._modules: dict[str, ModuleType] = {_COMPILER: self, _INDICES: indices}
        self._finder = _Finder(self.leave)
        sys.modules.update(self._modules)
        sys.meta_path.insert(0, self._finder)

    def leave(self) -> None:
        """Make room for the real one."""
        for name, module in self._modules.items():
            if sys.modules.get(name) is module:
                del sys.modules[name]
        if self._finder in sys.meta_path:
            sys.meta_path.remove(self._finder)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        self.leave()
        return getattr(import_module(_COMPILER), name)


class _Finder(MetaPathFinder):
    """Finds a part of the compiler that there is no stand-in for: the real one of it, in the real compiler."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave

    def find_spec(self, fullname: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> ModuleSpec | None:
        """The part's specification; None for all other modules."""
        if not fullname.startswith(f"{_COMPILER}."):
            return None
        self._leave()
        return ModuleSpec(fullname, _AsItIs(import_module(fullname)))


class _AsItIs(Loader):
    """Gives a module that was loaded by another."""

    def __init__(self, module: ModuleType) -> None:
        self._module, self._spec = module, module.__spec__

    def create_module(self, _spec: ModuleSpec) -> ModuleType:
        """The module."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do, but to forget this loader."""
        module.__spec__ = self._spec
