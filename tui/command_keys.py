"""Sentences that name a command, said for somebody who has keys: ``greenwave runs resume X`` becomes ``F5 Runs → r resume``.

An option that is a field of a form is called as the field is.

The services' sentences serve the command line and the UI alike; here a command for which there is a key is replaced by that key.
"""

from __future__ import annotations

import re

from tui.keys import KEYS, PLACES
from tui.widgets.bars import key_name
from tui.widgets.recipe_form import label_of
from tui.words import t

_KEYS_OF_COMMANDS: dict[str, tuple[str, str]] = {
    "datasets list": ("data", ""),
    "datasets show": ("data", "open_dataset"),
    "datasets import": ("data", "import_file"),
    "datasets clean": ("data", "clean"),
    "datasets redact": ("data", "redact"),
    "datasets review": ("data", "review"),
    "datasets split": ("data", "split"),
    "datasets mix": ("data", "mix"),
    "models list": ("models", ""),
    "models import": ("models", "import_model"),
    "models verify": ("models", "verify"),
    "models lineage": ("models", "lineage"),
    "export": ("models", "export"),
    "runs list": ("runs", ""),
    "runs watch": ("runs", "open"),
    "runs resume": ("runs", "resume_run"),
    "runs cancel": ("runs", "cancel_run"),
    "train": ("train", ""),
    "chat": ("chat", ""),
}
"""Place and key of each command; without a key it is the place itself."""

_COMMAND = re.compile(
    r"greenwave (?P<words>"
    + "|".join(map(re.escape, sorted(_KEYS_OF_COMMANDS, key=len, reverse=True)))
    + r")(?P<check> \S+ --check)?(?![a-z])(?P<options>(?: --[a-z-]+(?: [\w.-]+)?)*)",
    re.ASCII,
)

_WITHOUT_KEY = re.compile(r"""(greenwave models import (?:'[^']*'|"[^"]*"|[^\s'"])+(?: --name \S+)? --chat-template \w+)""")
"""A command with an option for which no form has a field: it is said as it is typed, its path as ``shlex.quote`` writes it."""

_OPTION = re.compile(r"--(?P<name>encoding|format|name|type)(?![\w-])")

_SPACE_BESIDE_CHINESE = re.compile(r"(?<=[\u3000-\u9fff]) (?=“)|(?<=”) (?=[\u3000-\u9fff])")
"""A command stands between spaces; quotation marks beside Chinese do not."""


def in_keys(sentence: str) -> str:
    """The same sentence with keys instead of those commands that have one; names that follow a command stay."""
    pieces = _WITHOUT_KEY.split(sentence)
    pieces[::2] = [_SPACE_BESIDE_CHINESE.sub("", _OPTION.sub(_as_field, _COMMAND.sub(_in_keys, piece))) for piece in pieces[::2]]
    return "".join(pieces)


def _as_field(found: re.Match[str]) -> str:
    fields = {"encoding": t("data.encoding"), "format": t("data.format"), "name": t("form.name"), "type": label_of("export.type")}
    return t("commands.in_keys", keys=fields[found["name"]])


def _in_keys(found: re.Match[str]) -> str:
    place, wanted = _KEYS_OF_COMMANDS[found["words"]]
    if found["check"]:
        wanted = "check"
    there = f"{key_name(dict(PLACES)[place])} {t(f'keys.{place}')}"
    key = next((one for one in KEYS[place] if one.id == wanted), None)
    return t("commands.in_keys", keys=there if key is None else f"{there} → {key_name(key.keys)} {t(f'keys.{key.id}')}")
