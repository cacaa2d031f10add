"""Preference rows in every published form, and what is no preference."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from appliance.domain.conversation import from_json
from appliance.domain.event import Produced
from appliance.domain.recipe import CleaningRecipe, SplitRecipe
from appliance.domain.spec import CleanSpec, SplitSpec
from appliance.stages import clean, split

Import = Callable[..., Any]

ASKED, BETTER, WORSE = ({"role": role, "content": text} for role, text in (("user", "问"), ("assistant", "好"), ("assistant", "坏")))
TURNS = [("user", "问"), ("assistant", "好")]
FORMS: dict[str, tuple[dict[str, Any], list[tuple[str, str]]]] = {
    "texts": ({"prompt": "问", "chosen": "好", "rejected": "坏"}, TURNS),
    "texts with system": ({"system": "甲", "prompt": "问", "chosen": "好", "rejected": "坏"}, [("system", "甲"), *TURNS]),
    "messages before texts": ({"messages": [ASKED], "chosen": "好", "rejected": "坏"}, TURNS),
    "messages before messages": ({"prompt": [ASKED], "chosen": [BETTER], "rejected": [WORSE]}, TURNS),
    "one message each": ({"messages": [ASKED], "chosen": BETTER, "rejected": WORSE}, TURNS),
    "question in both": ({"prompt": "问", "chosen": [ASKED, BETTER], "rejected": [ASKED, WORSE]}, TURNS),
    "question in both alone": ({"chosen": [ASKED, BETTER, ASKED, BETTER], "rejected": [ASKED, BETTER, ASKED, WORSE]}, TURNS * 2),
}


@pytest.mark.parametrize("form", FORMS)
def test_preferences_are_recognised(import_bytes: Import, form: str) -> None:
    """Every form gives the conversation with the better answer, and the worse one beside it."""
    row, turns = FORMS[form]
    imported = import_bytes(json.dumps([row, row], ensure_ascii=False).encode())
    assert imported.turns == [turns, turns]
    assert [row["rejected"] for row in imported.rows] == ["坏", "坏"]
    assert (imported.facts["format"], imported.facts["preferences"]) == ("preference", 2)


def test_what_is_no_preference_is_listed(import_bytes: Import) -> None:
    """Equal answers, answers to two questions, no question and a missing answer are refused with their reasons."""
    rows = [
        {"prompt": "问", "chosen": "好", "rejected": "坏"},
        {"prompt": "问", "chosen": "好", "rejected": " 好\n"},
        {"chosen": [ASKED, BETTER], "rejected": [{**ASKED, "content": "别的"}, WORSE]},
        {"chosen": "好", "rejected": "坏"},
        {"prompt": "问", "chosen": "好", "rejected": ""},
        {"prompt": "问", "chosen": "好"},
        {"prompt": "问", "chosen": "好", "rejected": 7},
    ]
    imported = import_bytes("\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode())
    assert len(imported.rows) == 1
    assert imported.reasons == [
        (2, "row_preference_without_difference"),
        (3, "row_preference_of_two_questions"),
        (4, "row_turns_mixed"),
        (5, "row_without_answer"),
        (6, "row_field_missing"),
        (7, "row_field_wrong"),
    ]


def test_cleaning_and_splitting_keep_the_worse_answer(import_bytes: Import, tmp_path: Path) -> None:
    """Both answers are normalised, rows that differ in the worse one alone are two rows, and no split loses it."""
    rows = [{"prompt": f"问{number % 2}", "chosen": "好Ａ", "rejected": f"坏Ｂ{number}"} for number in range(8)]
    imported = import_bytes("\n".join(json.dumps(row, ensure_ascii=False) for row in [*rows, rows[0]]).encode())
    cleaned, sides = tmp_path / "clean", (tmp_path / "train", tmp_path / "validation")
    events: list[Any] = []
    clean.run(CleanSpec(rows=str(imported.folder / "rows.jsonl"), output=str(cleaned), recipe=CleaningRecipe()), events.append)
    outputs = {"train_output": str(sides[0]), "validation_output": str(sides[1])}
    split.run(SplitSpec(rows=str(cleaned / "rows.jsonl"), **outputs, recipe=SplitRecipe(validation_share=0.4)), events.append)
    assert all(isinstance(event, Produced) for event in events[-2:])
    found = [from_json(line) for side in sides for line in (side / "rows.jsonl").read_bytes().splitlines()]
    assert sorted(row.rejected for row in found) == [f"坏B{number}" for number in range(8)]
    assert {row.messages[-1].content for row in found} == {"好A"}
