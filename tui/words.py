"""The terminal UI's own labels; sentences about data, runs and errors come from ``appliance.texts``.

Each language is a folder of TOML files below ``locales``; a label is called by table and entry, as ``t("home.title")``. The language is
that of the environment (``GREENWAVE_LANG``, else the locale), so that labels and sentences always speak the same one, and processes
that the UI starts do, too.
"""

from __future__ import annotations

import os
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from appliance.texts.speech import LANGUAGES, Language, language_from_environment, say_entry

_FOLDER = Path(__file__).parent / "locales"


@cache
def labels(language: Language) -> dict[str, str]:
    """Every label of a language by ``table.entry``."""
    found: dict[str, str] = {}
    for path in sorted((_FOLDER / language).glob("*.toml")):
        for table, entries in tomllib.loads(path.read_text("utf-8")).items():
            found.update({f"{table}.{entry}": text for entry, text in entries.items()})
    return found


def t(key: str, /, **parameters: Any) -> str:
    """The label with its gaps filled; an unknown key is shown as it is, never hidden."""
    entry = labels(language_from_environment()).get(key)
    return key if entry is None else say_entry(entry, parameters)


def switch_language() -> Language:
    """Speak the next language from now on; which one that is."""
    spoken = language_from_environment()
    chosen = LANGUAGES[(LANGUAGES.index(spoken) + 1) % len(LANGUAGES)]
    os.environ["GREENWAVE_LANG"] = chosen
    return chosen
