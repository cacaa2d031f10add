"""Mixing keeps the shares, uses every row of the first dataset, repeats where it must, and gives the same bytes again."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance import demo
from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Event, Notice, Produced
from appliance.domain.recipe import MixRecipe
from appliance.domain.row import Row, row_to_json
from appliance.domain.spec import MixedRows, MixSpec
from appliance.stages import mix
from appliance.texts.speech import LANGUAGES, explain, say


def rows_of(name: str, count: int, classes: Sequence[str] = ()) -> list[Row]:
    """Rows that are told apart by their questions; classes in turn."""
    return [
        Conversation(
            (Message("user", f"{name}{number}"), Message("assistant", "答")),
            f"{name}:{number}",
            labels={"class": classes[number % len(classes)]} if classes else {},
        )
        for number in range(count)
    ]


def mixed(folder: Path, parts: Sequence[tuple[str, Sequence[Row], float]], base: str = "", **fields: Any) -> tuple[Artifact, list[Event]]:
    """What was made of these datasets and shares."""
    folder.mkdir(parents=True, exist_ok=True)
    told = []
    for name, rows, share in parts:
        path = folder / f"{name}.jsonl"
        path.write_bytes(b"".join(row_to_json(row) + b"\n" for row in rows))
        told.append(MixedRows(name=name, rows=str(path), share=share))
    events: list[Event] = []
    mix.run(MixSpec(parts=tuple(told), output=str(folder / "mix"), base=base, recipe=MixRecipe(**fields)), events.append)
    return next(event.artifact for event in events if isinstance(event, Produced)), events


def questions(artifact: Artifact) -> list[str]:
    """Of all rows, in their order."""
    lines = (Path(artifact.path) / "rows.jsonl").read_bytes().splitlines()
    return [json.loads(line)["messages"][0]["content"] for line in lines]


def test_shares(tmp_path: Path) -> None:
    """Every row of the first once, of the others so many that the shares come out, none twice while there are enough; shuffled."""
    made, events = mixed(tmp_path, [("a", rows_of("a", 80), 0.8), ("b", rows_of("b", 500), 0.2)])
    found = questions(made)
    names = Counter(question[0] for question in found)
    assert names == {"a": 80, "b": 20}
    assert len(set(found)) == 100
    assert found != sorted(found)
    assert made.facts["counts"] == {"read": 580, "rows": 100, "distinct": 100}
    assert [(part["name"], part["rows"], part["used"], part["share"]) for part in made.facts["parts"]] == [
        ("a", 80, 80, 0.8),
        ("b", 500, 20, 0.2),
    ]
    assert not [event for event in events if isinstance(event, Notice)]
    data = (Path(made.path) / "rows.jsonl").read_bytes()
    assert (made.sha256, made.size) == (hashlib.sha256(data).hexdigest(), len(data))


def test_the_same_again(tmp_path: Path) -> None:
    """Same rows and seed, same bytes; another seed takes other rows in another order."""
    parts = [("a", rows_of("a", 80), 0.5), ("b", rows_of("b", 500), 0.5)]
    one, two, three = (mixed(tmp_path / name, parts, seed=seed)[0] for name, seed in (("1", 7), ("2", 7), ("3", 8)))
    assert one.sha256 == two.sha256 != three.sha256
    assert set(questions(one)) != set(questions(three))


def test_the_order_of_chance_never_changes() -> None:
    """A dataset that was mixed years ago can be mixed again: the numbers are fixed here."""
    from appliance.stages.mix.choosing import shuffled

    assert shuffled(8, 17).tolist() == SHUFFLED_8_17
    assert sorted(shuffled(1000, 3).tolist()) == list(range(1000))


SHUFFLED_8_17 = [3, 7, 1, 4, 5, 2, 6, 0]


def test_too_few_rows(tmp_path: Path) -> None:
    """They are used several times, each about as often, with a warning; or the result is smaller."""
    parts = [("a", rows_of("a", 60), 0.6), ("b", rows_of("b", 15), 0.4)]
    made, events = mixed(tmp_path / "1", parts)
    counts = Counter(questions(made))
    assert sum(counts[f"b{number}"] for number in range(15)) == 40
    assert {counts[f"b{number}"] for number in range(15)} == {2, 3}
    notices = [event for event in events if isinstance(event, Notice)]
    assert [notice.code for notice in notices] == ["mixed_rows_repeat"]
    made, events = mixed(tmp_path / "2", parts, repeat=False)
    assert made.facts["counts"] == {"read": 75, "rows": 75, "distinct": 75}
    notices += [event for event in events if isinstance(event, Notice)]
    assert notices[-1].code == "mixed_rows_missing"
    for notice in notices:
        assert all("{" not in say("notices", notice.code, language, **notice.parameters) for language in LANGUAGES)


def test_total(tmp_path: Path) -> None:
    """A total that is named is kept, whatever the rounding."""
    parts = [("a", rows_of("a", 60), 1 / 3), ("b", rows_of("b", 60), 1 / 3), ("c", rows_of("c", 60), 1 / 3)]
    made, _ = mixed(tmp_path, parts, rows=100)
    assert [part["used"] for part in made.facts["parts"]] == [34, 33, 33]


def test_rare_classes(tmp_path: Path) -> None:
    """Rows of rare classes are used again up to the largest class, but none too often; the share is kept over all."""
    common, rare, single = rows_of("a", 40, ["事故"]), rows_of("b", 10, ["拥堵"]), rows_of("c", 2, ["违停"])
    part = [*common, *rare, *single]
    made, _ = mixed(tmp_path / "1", [("a", part, 0.5), ("g", rows_of("g", 200, [""]), 0.5)], balance_by="class", max_repeats=5)
    assert made.facts["parts"][0]["classes"] == {"事故": 40, "拥堵": 40, "违停": 10}
    assert made.facts["parts"][1]["used"] == 90
    assert max(Counter(questions(made)).values()) == 5
    made, _ = mixed(tmp_path / "2", [("a", part, 1.0)], balance_by="class", balance=0.5, max_repeats=50)
    assert made.facts["parts"][0]["classes"] == {"事故": 40, "拥堵": 20, "违停": 20}
    assert set(questions(made)) == {row.messages[0].content for row in part if isinstance(row, Conversation)}


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(1, 9)), min_size=1, max_size=4), st.booleans(), st.integers(0, 3))
def test_any_mix(tmp_path_factory: pytest.TempPathFactory, sizes: list[tuple[int, int]], repeat: bool, seed: int) -> None:
    """The first is used whole and once, no other is left out, and shares are as near as whole rows allow."""
    total = sum(weight for _, weight in sizes)
    parts = [(f"p{number}-", rows_of(f"p{number}-", count), weight / total) for number, (count, weight) in enumerate(sizes)]
    made, _ = mixed(tmp_path_factory.mktemp("any"), parts, repeat=repeat, seed=seed)
    used = [part["used"] for part in made.facts["parts"]]
    assert used[0] == sizes[0][0] and min(used) >= 1 and sum(used) == len(questions(made))
    if repeat:
        rows = sizes[0][0] * total / sizes[0][1]
        assert all(abs(count - max(1.0, rows * weight / total)) <= 0.5 for count, (_, weight) in zip(used[1:], sizes[1:], strict=True))


def test_tokens(tmp_path: Path) -> None:
    """With a base the tokens of every part are told, repeated rows as often as they are used; documents are mixed, too."""
    parts = [("a", [Document("红灯停"), Document("绿灯行")], 0.5), ("b", [Document("黄灯")], 0.5)]
    made, _ = mixed(tmp_path, parts, base=str(demo.base_folder()))
    tokens = [part["tokens"] for part in made.facts["parts"]]
    assert tokens[0] > 0 and tokens[1] > 0 and tokens[1] % 2 == 0
    assert made.facts["kind"] == "documents"


BAD = {
    "rows_missing": lambda folder: [MixedRows(name="a", rows=str(folder / "none"), share=1.0)],
    "rows_empty": lambda folder: [MixedRows(name="a", rows=str(folder / "empty"), share=1.0)],
    "rows_damaged": lambda folder: [MixedRows(name="a", rows=str(folder / "bad"), share=1.0)],
    "mix_kinds_differ": lambda folder: [MixedRows(name=name, rows=str(folder / name), share=0.5) for name in ("talk", "text")],
    "label_unknown": lambda folder: [MixedRows(name="talk", rows=str(folder / "talk"), share=1.0)],
}


@pytest.mark.parametrize("code", BAD)
def test_what_cannot_be_mixed(tmp_path: Path, code: str) -> None:
    """One named error with words in both languages, and nothing is left behind."""
    (tmp_path / "empty").touch()
    (tmp_path / "bad").write_bytes(b'{"text": "a"}\n{')
    (tmp_path / "talk").write_bytes(row_to_json(rows_of("q", 1)[0]) + b"\n")
    (tmp_path / "text").write_bytes(row_to_json(Document("a")) + b"\n")
    recipe = MixRecipe(balance_by="class" if code == "label_unknown" else "")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ApplianceError, match=code) as caught:
        mix.run(MixSpec(parts=tuple(BAD[code](tmp_path)), output=str(tmp_path / "mix"), recipe=recipe), list[Event]().append)
    assert sorted(tmp_path.iterdir()) == before
    assert all("{" not in "".join(explain(caught.value, language)) for language in LANGUAGES)
