"""Both languages say the same things, everything the code mentions has its words, and no words are left over."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.recipe import settings
from appliance.running.stage_table import STAGES
from appliance.texts.speech import LANGUAGES, Language, catalogue, explain, say
from tests.architecture.source import PACKAGES, calls, must_be_none, named, python_files, tree

# Where a call's first words are a code: name of what is called → table of the texts, and the code's place among the arguments.
SPEAKERS = {
    "ApplianceError": ("errors", 0, "code"),
    "Failed": ("errors", 0, "code"),
    "Notice": ("notices", 1, "code"),
    "Problem": ("problems", 0, "code"),
    "Unreadable": ("errors", 0, "code"),
}
# The same for the views' own shorthands, which are common names elsewhere.
VIEWS = {"told": ("help", 0, "code"), "label": ("labels", 0, "code")}
STARTED_KEYS = {"unit": "units", "what": "stages"}

Sentences = dict[tuple[str, ...], str]


def sentences(language: Language) -> Sentences:
    """Every text of a language by its path, ``("errors", "disk_full", "hint")``."""

    def walk(node: object, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
        if isinstance(node, dict):
            for key, inner in node.items():
                yield from walk(inner, (*path, key))
        else:
            yield path, str(node)

    return dict(walk(catalogue(language), ()))


def gaps(sentence: str) -> set[str]:
    """Names of a sentence's gaps with their formats, as ``peak:bytes``."""
    return {f"{name}:{form}" if form else name for _, name, form, _ in string.Formatter().parse(sentence) if name}


def gap_names(sentence: str) -> set[str]:
    """Names of a sentence's gaps."""
    return {gap.partition(":")[0].partition(".")[0] for gap in gaps(sentence)}


def codes_in(node: ast.expr | None) -> list[str]:
    """Literal codes that an argument can be; a choice of two counts for both."""
    if isinstance(node, ast.IfExp):
        return codes_in(node.body) + codes_in(node.orelse)
    return [node.value] if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value else []


def argument(call: ast.Call, place: int, name: str) -> ast.expr | None:
    """An argument of a call, given by place or by name."""
    if len(call.args) > place:
        return call.args[place]
    return next((keyword.value for keyword in call.keywords if keyword.arg == name), None)


def parameters_of(call: ast.Call) -> set[str] | None:
    """Names of the parameters that an ``ApplianceError(…)`` is given, or None where they are not in plain sight."""
    names = [keyword.arg for keyword in call.keywords]
    in_sight = getattr(call.func, "id", "") == "ApplianceError" and None not in names
    return {name for name in names if name} if in_sight else None


def mentioned() -> Iterator[tuple[str, str, ast.Call, str]]:
    """Every code that the packages mention: its table, the code, the call, and where."""
    for path in python_files(*PACKAGES):
        speakers = SPEAKERS | VIEWS if {"cli", "tui"} & set(path.parts) else SPEAKERS
        for name, call in calls(path):
            where = f"{named(path)}:{call.lineno}"
            if name in speakers:
                table, place, keyword = speakers[name]
                for code in codes_in(argument(call, place, keyword)):
                    yield table, code, call, where
            elif name == "say":
                for table in codes_in(argument(call, 0, "table")):
                    for code in codes_in(argument(call, 1, "code")):
                        yield table, code, call, where
            elif name == "Started":
                for place, (keyword, table) in enumerate(STARTED_KEYS.items(), 1):
                    for code in codes_in(argument(call, place, keyword)):
                        yield table, code, call, where


def test_languages_say_the_same_things() -> None:
    """A text that exists in one language exists in the other."""
    ours, theirs = (sentences(language).keys() for language in LANGUAGES)
    must_be_none(".".join(path) for path in ours ^ theirs)


def test_languages_have_the_same_gaps() -> None:
    """The same parameters, in the same formats, fill both."""
    chinese, english = (sentences(language) for language in LANGUAGES)
    must_be_none(".".join(path) for path in chinese.keys() & english.keys() if gaps(chinese[path]) != gaps(english[path]))


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_text_is_empty(language: Language) -> None:
    """Every text says something, and nothing is left to be written."""
    must_be_none(".".join(path) for path, text in sentences(language).items() if not text.strip() or "TODO" in text)


def test_chinese_is_chinese() -> None:
    """Each Chinese message, hint, notice and help has Chinese characters in it."""
    must_be_none(
        ".".join(path)
        for path, text in sentences("zh").items()
        if path[0] in {"errors", "notices", "problems", "help"} and not any("\u4e00" <= character <= "\u9fff" for character in text)
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_code_has_its_words(language: Language) -> None:
    """Each code in the code is a key of the texts; an error has a message and a hint."""
    tables = catalogue(language)
    must_be_none({f"{table}.{code} ({where})" for table, code, _, where in mentioned() if code not in tables.get(table, {})})
    must_be_none(f"errors.{code}" for code, entry in tables["errors"].items() if set(entry) != {"message", "hint"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_stages_and_settings_have_words(language: Language) -> None:
    """Each stage has a name; each field of a recipe a label, a help and a reason."""
    tables = catalogue(language)
    must_be_none(stage for stage in STAGES if stage not in tables["stages"])
    wanted = {setting.key: {"label", "help", "reason"} for setting in settings()}
    assert {key: set(words) for key, words in tables["settings"].items()} == wanted


def test_gaps_are_filled() -> None:
    """Where an error is raised with its parameters in plain sight, they fill every gap of its sentences."""
    entries = catalogue("en").get("errors", {})
    unfilled = []
    for table, code, call, where in mentioned():
        given = parameters_of(call)
        if table == "errors" and code in entries and given is not None:
            missing = gap_names(entries[code].get("message", "") + entries[code].get("hint", "")) - given
            unfilled += [f"{code} ({where}): {gap}" for gap in missing]
    must_be_none(unfilled)


def test_no_words_are_left_over() -> None:
    """Each code of the errors, notices, problems and units occurs in the code, whole or by the pieces that make it."""
    literals = {
        node.value
        for path in python_files(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    must_be_none(
        f"{table}.{code}"
        for table in ("errors", "notices", "problems", "units")
        for code in catalogue("en").get(table, {})
        if code not in literals and not any(_made_of(code, piece, literals) for piece in literals)
    )


def _made_of(code: str, piece: str, literals: set[str]) -> bool:
    """Whether a code is ``who_kind`` of two literals, as the codes of how a child ended are."""
    return code.startswith(f"{piece}_") and code.removeprefix(f"{piece}_") in literals


def test_an_unknown_code_is_shown() -> None:
    """A code without words appears itself, with its parameters, rather than nothing."""
    assert say("notices", "never_heard_of", "en", rows=3) == "never_heard_of rows=3"
    assert explain(ApplianceError("never_heard_of", path="a.csv"), "zh")[0] == "never_heard_of path=a.csv"
