"""Sentences from codes, in both languages."""

from __future__ import annotations

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.recipe import RecipeInvalid, build_recipe, settings
from appliance.texts.speech import LANGUAGES, Language, catalogue, explain, human_bytes, human_duration, language_from_environment, say


@pytest.mark.parametrize(
    ("variables", "language"),
    [
        ({"GREENWAVE_LANG": "zh", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "zh_CN.GB18030", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LANG": "zh_TW.UTF-8"}, "zh"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_follows_the_locale(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], language: Language) -> None:
    """The own variable beats the locale, and the locale is read in the order that the C library uses."""
    for name in ("GREENWAVE_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert language_from_environment() == language


def test_gaps_are_filled_and_missing_ones_stay_visible() -> None:
    """A parameter that is missing is shown as a gap, not as a crash."""
    message, hint = explain(ApplianceError("disk_too_small", path="/data", needed=3_000_000_000), "en")
    assert "3.0 GB needed" in message
    assert "{free}" in message
    assert hint


def test_an_unknown_code_is_shown_as_it_is() -> None:
    """Words that are missing hide nothing."""
    assert say("errors", "no_such_code", "zh", path="/x") == "no_such_code path=/x"
    assert explain(ApplianceError("no_such_code", a=1), "en") == ("no_such_code a=1", "")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_error_with_several_problems_lists_them(language: Language) -> None:
    """Every problem of a recipe has its own line."""
    with pytest.raises(RecipeInvalid) as refused:
        build_recipe({"training": {"rank": 0, "alpha": "x"}})
    message, _ = explain(refused.value, language)
    assert len(message.splitlines()) == 3
    assert "training.rank = 0" in message


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_setting_has_its_words(language: Language) -> None:
    """Each field of a recipe has a label, a help and a reason, and no words are left over."""
    words = catalogue(language)["settings"]
    assert set(words) == {setting.key for setting in settings()}
    assert all(set(entry) == {"label", "help", "reason"} and all(entry.values()) for entry in words.values())


def test_figures_are_readable() -> None:
    """Sizes and durations in units that people use."""
    assert [human_bytes(size) for size in (0, 999, 1500, 123_456_789, 5e12)] == ["0 B", "999 B", "1.5 kB", "123 MB", "5.0 TB"]
    assert [human_duration(seconds) for seconds in (0.24, 59.4, 185, 7620)] == ["0.2 s", "59 s", "3 min 05 s", "2 h 07 min"]
