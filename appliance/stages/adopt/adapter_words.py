"""The words of an adapter that brings its own tokenizer: what it lacks of them is the base's."""

from __future__ import annotations

import shutil
from pathlib import Path

from appliance.files.base_screening import has_chat_template, read_json_object

SETTINGS = "tokenizer_config.json"
TEMPLATE_FILES = ("chat_template.jinja", "chat_template.json")


def complete_words(folder: Path, base: Path) -> bool:
    """Give an adapter's folder the base's tokenizer settings and chat template where it has none; whether it needed the template.

    A folder without a tokenizer needs nothing: the base's words are used then.
    """
    if not (folder / "tokenizer.json").is_file():
        return False
    if not (folder / SETTINGS).is_file() and (base / SETTINGS).is_file():
        shutil.copyfile(base / SETTINGS, folder / SETTINGS)
    if has_chat_template(folder) or not has_chat_template(base):
        return False
    for name in TEMPLATE_FILES:
        if (base / name).is_file():
            shutil.copyfile(base / name, folder / name)
            return True
    template = read_json_object(base / SETTINGS)["chat_template"]
    if isinstance(template, list):
        template = next((entry["template"] for entry in template if entry.get("name") == "default"), "")
    (folder / TEMPLATE_FILES[0]).write_text(template, "utf-8")
    return True
