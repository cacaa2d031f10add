"""Looking sentences up.

Each language is a folder of TOML files, one per topic; all files of a folder together are one catalogue of tables:

    [errors.CODE]      message = "…"   hint = "…"
    [notices]          CODE = "…"
    [stages]           name = "…"            names of stages and of their parts
    [units]            rows = "…"
    [labels]           …                     headings of tables and other short words
    [help]             "train" = "…"         what commands and options do
    [grades]           name = "…"            lines of a quality card
    [fates]            name = "…"            what becomes of a row in training
    [formats]          name = "…"            forms of files that records come in
    [checks.CODE]      message = "…"   hint = "…"      findings of the doctor
    [settings."training.rank"]  label = "…"  help = "…"  reason = "…"

Gaps in a sentence are ``{name}``, filled from the parameters. A size in bytes is written ``{name:bytes}``, a duration ``{name:duration}``.
"""

from __future__ import annotations

import os
import string
import tomllib
from functools import cache
from pathlib import Path
from typing import Any, Literal

from appliance.domain.errors import ApplianceError

Language = Literal["zh", "en"]
LANGUAGES: tuple[Language, ...] = ("zh", "en")

_FOLDER = Path(__file__).parent


def language_from_environment() -> Language:
    """``GREENWAVE_LANG`` if it is set, else the locale's language; Chinese for any ``zh`` locale, English otherwise."""
    for variable in ("GREENWAVE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        value = os.environ.get(variable, "")
        if value:
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


@cache
def catalogue(language: Language) -> dict[str, Any]:
    """All tables of a language, its topic files joined."""
    joined: dict[str, Any] = {}
    for path in sorted((_FOLDER / language).glob("*.toml")):
        for table, entries in tomllib.loads(path.read_text("utf-8")).items():
            joined.setdefault(table, {}).update(entries)
    return joined


def say(table: str, code: str, language: Language | None = None, /, **parameters: Any) -> str:
    """The sentence of ``code`` in ``table`` with its gaps filled; an unknown code is shown as it is, never hidden."""
    entry = catalogue(language or language_from_environment()).get(table, {}).get(code)
    if not isinstance(entry, str):
        shown = " ".join(f"{name}={value}" for name, value in parameters.items())
        return f"{code} {shown}".strip()
    return _fill(entry, parameters)


def explain(error: ApplianceError, language: Language | None = None) -> tuple[str, str]:
    """Message and hint of an error; either may have several lines when the error carries a list of problems."""
    return explain_code(error.code, error.parameters, language)


def explain_code(code: str, parameters: dict[str, Any], language: Language | None = None) -> tuple[str, str]:
    """Message and hint for an error that is only known by its code and parameters, as the store keeps it."""
    spoken = language or language_from_environment()
    entry = catalogue(spoken).get("errors", {}).get(code)
    if entry is None:
        return say("errors", code, spoken, **parameters), ""
    message = _fill(entry["message"], parameters)
    for problem in parameters.get("problems", ()):
        told = {name: value for name, value in problem.items() if name != "code"}
        message += "\n  - " + say("problems", problem["code"], spoken, **told)
    return message, _fill(entry.get("hint", ""), parameters)


def explain_check(code: str, parameters: dict[str, Any], language: Language | None = None) -> tuple[str, str]:
    """Message and hint of one of the doctor's findings."""
    entry = catalogue(language or language_from_environment())["checks"][code]
    return _fill(entry.get("message", ""), parameters), _fill(entry.get("hint", ""), parameters)


def say_entry(sentence: str, parameters: dict[str, Any]) -> str:
    """A sentence of the catalogue with its gaps filled, for tables whose entries have several parts."""
    return _fill(sentence, parameters)


def human_amount(done: int, total: int | None, unit: str) -> str:
    """``120/300 steps`` or ``12.3 MB/40.0 MB``."""
    if unit == "bytes":
        return human_bytes(done) + (f"/{human_bytes(total)}" if total else "")
    shown = f"{done:,}" + (f"/{total:,}" if total else "")
    return f"{shown} {say('units', unit)}"


def human_bytes(count: float) -> str:
    """``1.5 GB``: decimal units, three digits at most."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" or count >= 100 else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def human_duration(seconds: float) -> str:
    """``48 s``, ``3 min 05 s``, ``2 h 07 min``."""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


class _Gaps(string.Formatter):
    """Fills what it knows and leaves the rest visible: a sentence with a gap is better than no sentence."""

    def get_value(self, key: int | str, args: Any, kwargs: Any) -> Any:
        return kwargs.get(str(key), f"{{{key}}}")

    def format_field(self, value: Any, format_spec: str) -> str:
        if format_spec == "bytes" and isinstance(value, int | float):
            return human_bytes(value)
        if format_spec == "duration" and isinstance(value, int | float):
            return human_duration(value)
        try:
            return str(super().format_field(value, format_spec))
        except ValueError:
            return str(value)


def _fill(sentence: str, parameters: dict[str, Any]) -> str:
    return _Gaps().vformat(sentence, (), parameters)
