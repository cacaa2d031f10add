"""The one exception of Greenwave and its exit codes.

    ApplianceError            a code, parameters for its sentence, and an exit code
     └── RecipeInvalid        every problem of a recipe at once (in recipe.py)

The words live in ``appliance/texts``: a code is looked up there as one sentence and one hint, in Chinese and in English.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """What a command's exit status means; scripts may rely on these numbers."""

    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    BAD_DATA = 3
    NO_ROOM = 4
    """Not enough memory, disk or GPU."""
    BUSY = 5
    CANCELLED = 6
    INTERRUPT = 130


class ApplianceError(Exception):
    """A failure that a person can act on.

    ``code`` names the sentence in ``appliance/texts`` and ``parameters`` fill its gaps; ``exit_code`` is what a command ends with.
    """

    def __init__(self, code: str, exit_code: ExitCode = ExitCode.BAD_DATA, **parameters: Any) -> None:
        super().__init__(code)
        self.code = code
        self.exit_code = exit_code
        self.parameters: dict[str, Any] = parameters

    def __str__(self) -> str:
        shown = ", ".join(f"{name}={value!r}" for name, value in self.parameters.items())
        return f"{self.code}({shown})"

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions pickle by their args; ours travel between threads and processes with all they know.
        return _rebuild, (type(self), self.code, self.exit_code, self.parameters)


def _rebuild(kind: type[ApplianceError], code: str, exit_code: ExitCode, parameters: dict[str, Any]) -> ApplianceError:
    return kind(code, exit_code, **parameters)
