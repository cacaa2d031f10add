"""No near-duplicate is on two sides, classes and small sets get their exact shares, and a test side is made where one is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path

import pytest

from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Produced
from appliance.domain.recipe import SplitRecipe
from appliance.domain.row import Row, row_from_json, row_to_json
from appliance.domain.spec import SplitSpec
from appliance.stages import split
from appliance.stages.near_duplicates import groups
from tests.stages.near_duplicates.planted import jaccard, texts_with_copies

Sides = dict[str, list[Row]]


def divided(folder: Path, rows: Sequence[Row], **fields: object) -> tuple[Sides, dict[str, dict[str, object]]]:
    """Rows on each side, and the facts of each."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "rows.jsonl").write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
    outputs = {f"{side}_output": str(folder / side) for side in ("train", "validation", "test")}
    events: list[Event] = []
    spec = SplitSpec(rows=str(folder / "rows.jsonl"), **outputs, recipe=SplitRecipe(**fields))  # type: ignore[arg-type]  # as the test gives
    split.run(spec, events.append)
    made = [event.artifact for event in events if isinstance(event, Produced)]
    lines = {one.role: (Path(one.path) / "rows.jsonl").read_bytes().splitlines() for one in made}
    assert sorted(path.name for path in folder.iterdir()) == sorted(["rows.jsonl", *lines])
    return {role: list(map(row_from_json, some)) for role, some in lines.items()}, {one.role: one.facts for one in made}


def row(question: str, **labels: str) -> Conversation:
    """A row that is told apart by its question."""
    return Conversation((Message("user", question), Message("assistant", "答")), labels=labels)


@pytest.mark.parametrize("every_pair_up_to", [0, 8192])
def test_no_leak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, every_pair_up_to: int) -> None:
    """No pair of rows from two sides is alike, by the definition of Jaccard over all pairs; searched as a small and as a large file."""
    monkeypatch.setattr(groups, "EVERY_PAIR_UP_TO", every_pair_up_to)
    texts = texts_with_copies(600, seed=11)
    sides, facts = divided(tmp_path / "a", [Document(text) for text in texts], validation_share=0.2, test_share=0.2)
    told = {side: [one.text for one in rows if isinstance(one, Document)] for side, rows in sides.items()}
    assert sum(map(len, told.values())) == len(texts) and min(map(len, told.values())) > 60
    for one, other in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not [pair for pair in product(told[one], told[other]) if jaccard(*pair) >= 0.8]
    grouped = facts["train"]["near_duplicates"]
    assert isinstance(grouped, dict) and grouped["groups"] > 50
    loose, _ = divided(tmp_path / "b", [Document(text) for text in texts], validation_share=0.2, near_duplicates=False)
    leaked = [one for one in loose["validation"] if any(jaccard(one.text, other.text) >= 0.8 for other in loose["train"])]  # type: ignore[union-attr]  # all are documents
    assert leaked, "without the groups there would be a leak"


def test_exact_shares_of_a_small_set(tmp_path: Path) -> None:
    """Few rows are counted out: a fifth of fifty is ten, whatever the seed."""
    rows = [row(f"第 {number} 问") for number in range(50)]
    for seed in range(5):
        sides, _ = divided(tmp_path / str(seed), rows, validation_share=0.2, test_share=0.1, seed=seed)
        assert {side: len(some) for side, some in sides.items()} == {"train": 35, "validation": 10, "test": 5}


def test_classes_are_divided_alike(tmp_path: Path) -> None:
    """Each class of a label gives its share; rows without the label are a class of their own."""
    classes = ["事故"] * 200 + ["拥堵"] * 40 + ["违停"] * 10
    rows = [row(f"{name}{number}", kind=name) for number, name in enumerate(classes)] + [row(f"无{number}") for number in range(20)]
    sides, facts = divided(tmp_path, rows, validation_share=0.1, test_share=0.2, stratify_by="kind")
    found = {side: Counter(one.labels.get("kind", "") for one in some) for side, some in sides.items()}
    assert found["validation"] == {"事故": 20, "拥堵": 4, "违停": 1, "": 2}
    assert found["test"] == {"事故": 40, "拥堵": 8, "违停": 2, "": 4}
    assert facts["validation"]["classes"] == found["validation"]
    with pytest.raises(ApplianceError, match="label_unknown") as caught:
        divided(tmp_path / "b", rows, stratify_by="intent")
    assert caught.value.parameters["known"] == "kind"


def test_a_test_side_moves_no_validation_row(tmp_path: Path) -> None:
    """With a test share the validation rows are those that they were without; no share, no side."""
    rows = [row(f"第 {number} 问") for number in range(1500)]
    without, _ = divided(tmp_path / "a", rows)
    held, _ = divided(tmp_path / "b", rows, test_share=0.1)
    assert without["validation"] == held["validation"]
    assert 100 <= len(held["test"]) <= 200
    only, _ = divided(tmp_path / "c", rows, validation_share=0.0, test_share=0.1)
    assert set(only) == {"train", "test"}


def test_a_large_group_is_training(tmp_path: Path) -> None:
    """Rows of one template that are all alike do not become the validation set, and every side still has rows."""
    template = "请说明在没有信号灯控制的路口应当怎样通行以及应当注意哪些事项编号"
    rows = [row(template + str(number)) for number in range(90)] + [row(f"另一个问题{number * 7919}号") for number in range(10)]
    sides, facts = divided(tmp_path, rows, validation_share=0.05, test_share=0.05)
    assert {side: len(some) for side, some in sides.items()} == {"train": 90, "validation": 5, "test": 5}
    assert facts["train"]["near_duplicates"] == {"groups": 1, "grouped": 90, "largest": 90}
    with pytest.raises(ApplianceError, match="too_few_rows") as caught:
        divided(tmp_path / "b", rows[:90])
    assert caught.value.parameters == {"rows": 90, "kinds": 1}


def test_the_same_again(tmp_path: Path) -> None:
    """Same rows and recipe, same bytes on every side; documents and their labels are divided as conversations are."""
    rows = [Document(text, f"a:{number}", {"kind": str(number % 3)}) for number, text in enumerate(texts_with_copies(200))]
    for name in "ab":
        sides, facts = divided(tmp_path / name, rows, test_share=0.1, stratify_by="kind")
    assert {side: fact["kind"] for side, fact in facts.items()} == dict.fromkeys(sides, "documents")
    for side, some in sides.items():
        assert (tmp_path / "a" / side / "rows.jsonl").read_bytes() == (tmp_path / "b" / side / "rows.jsonl").read_bytes()
        assert all(one in rows for one in some)
