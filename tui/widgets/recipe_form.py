"""A form made from the recipe's own fields: label, range, default and reason come from their one declaration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical, VerticalScroll
from textual.widget import Widget
from textual.widgets import Input, Select

from appliance.domain.recipe import Setting, settings
from appliance.texts.speech import catalogue, language_from_environment
from tui.widgets.plain import Plain
from tui.widgets.yes_no import YesNo
from tui.words import t

SHOWN_CHOICES = 60
"""Characters of the list of choices that stand beside a field; all of them are in its tooltip."""


def bounds_of(setting: Setting) -> str:
    """``1 – 1024``, or the named choices; nothing for yes and no."""
    if setting.kind == "bool":
        return ""
    if setting.kind in ("choice", "text"):
        shown = " | ".join(setting.choices)
        return shown if len(shown) <= SHOWN_CHOICES else shown[: SHOWN_CHOICES - 1] + "…"
    low = f"> {setting.above:.10g}" if setting.above is not None else f"{setting.minimum:.10g}" if setting.minimum is not None else ""
    return f"{low} – {setting.maximum:.10g}" if setting.maximum is not None else low


def choice_of(key: str, choice: str) -> str:
    """A choice in words; proper names stay as they are."""
    spoken = catalogue(language_from_environment())
    words: dict[str, str] = spoken["kinds"] if key == "redaction.leave" else spoken["choices"].get(key, {})
    return words.get(choice, choice)


def default_of(setting: Setting) -> str:
    """The default in words; nothing where it is an empty text."""
    if setting.default == "":
        return ""
    if setting.kind == "bool":
        return t("form.default", value=t("form.yes") if setting.default else t("form.no"))
    if setting.key == "training.learning_rate":
        return t("form.default", value=t("form.of_method"))
    value = f"{setting.default:g}" if isinstance(setting.default, float) else str(setting.default)
    if setting.kind == "choice":
        value = choice_of(setting.key, value)
    return t("form.default", value=value)


def label_of(key: str) -> str:
    """What people call a field."""
    words: dict[str, str] = catalogue(language_from_environment()).get("settings", {}).get(key, {})
    return words.get("label", key)


class RecipeField(Horizontal):
    """One field: its label, the value, and its range and default."""

    DEFAULT_CSS = """
    RecipeField { height: auto; }
    RecipeField .label { width: 26; padding: 0 1 0 0; }
    RecipeField Input, RecipeField Select, RecipeField YesNo { width: 24; }
    RecipeField .range { width: 1fr; padding: 0 1; color: $text-muted; }
    """

    def __init__(self, setting: Setting, value: Any) -> None:
        super().__init__()
        self.setting = setting
        self._value = value
        self._shown = ("true" if value else "false") if setting.kind == "bool" else f"{value:g}" if isinstance(value, float) else str(value)

    def compose(self) -> ComposeResult:
        """Label, value, range."""
        words = catalogue(language_from_environment()).get("settings", {}).get(self.setting.key, {})
        yield Plain(words.get("label", self.setting.key), classes="label")
        field = self._field()
        told = [words[part] for part in ("help", "reason") if words.get(part)]
        field.tooltip = "\n".join([*told, self._choices()]).strip() or None
        yield field
        # What can be chosen is in the list itself; what can be typed has to be said.
        bounds = "" if self.setting.kind == "choice" else bounds_of(self.setting)
        yield Plain(f"{bounds}  {default_of(self.setting)}".strip(), classes="range")

    def _field(self) -> Widget:
        if self.setting.kind == "bool":
            return YesNo(bool(self._value))
        if self.setting.kind == "choice":
            choices = [(choice_of(self.setting.key, choice), choice) for choice in self.setting.choices]
            return Select(choices, value=str(self._value), allow_blank=False, compact=True)
        return Input(self._shown, compact=True)

    @property
    def explanation(self) -> str:
        """What the field does, why its default is what it is, and what it may be."""
        words = catalogue(language_from_environment()).get("settings", {}).get(self.setting.key, {})
        told = [words[part] for part in ("help", "reason") if words.get(part)]
        span = self._choices() or bounds_of(self.setting)
        return "\n".join([f"{words.get('label', '')}  {self.setting.key}", *told, *filter(None, (span, default_of(self.setting)))])

    def _choices(self) -> str:
        """Every choice as it is written, with its words."""
        said = ((choice, choice_of(self.setting.key, choice)) for choice in self.setting.choices)
        return " | ".join(choice if words == choice else f"{choice} ({words})" for choice, words in said)

    @property
    def changed(self) -> bool:
        """Whether a person has made another value of what was shown."""
        return self.value != self._shown

    @property
    def value(self) -> str:
        """The value as an assignment has it."""
        field = next(iter(self.query("YesNo, Select, Input")), None)
        if field is None or (isinstance(field, Select) and field.is_blank()):  # it is still being put on the screen
            return self._shown
        if isinstance(field, YesNo):
            return "true" if field.value else "false"
        assert isinstance(field, Input | Select)
        return str(field.value)


class RecipeForm(VerticalScroll):
    """Fields of some sections of the recipe."""

    DEFAULT_CSS = """
    RecipeForm { height: auto; max-height: 1fr; }
    RecipeForm .group { height: auto; }
    RecipeForm .section { text-style: bold; color: $primary; margin-top: 1; }
    """

    def __init__(self, sections: tuple[str, ...], values: dict[str, dict[str, Any]], only: tuple[str, ...] = (), **options: Any) -> None:
        """``values`` are a whole recipe's by section; ``only`` names the keys to show, all of the sections' if it is empty."""
        super().__init__(**options)
        self._sections = sections
        self._values = values
        self._only = only

    def compose(self) -> ComposeResult:
        """One group per section."""
        for section in self._sections:
            fields = [RecipeField(one, self._values[section][one.key.partition(".")[2]]) for one in self._settings_of(section)]
            with Vertical(classes="group"):
                yield Plain(t(f"form.section_{section}"), classes="section")
                yield from fields

    def assignments(self) -> list[str]:
        """``section.field=value`` of every field."""
        return [f"{field.setting.key}={field.value}" for field in self.query(RecipeField)]

    def changes(self) -> dict[str, str]:
        """The values of those fields that were changed, by their keys."""
        return {field.setting.key: field.value for field in self.query(RecipeField) if field.changed}

    def _settings_of(self, section: str) -> Iterator[Setting]:
        for setting in settings():
            if setting.key.partition(".")[0] == section and (not self._only or setting.key in self._only):
                yield setting
