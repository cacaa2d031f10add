"""``greenwave datasets``: groups are looked at, rows cleaned, divided in three and mixed, and what was dropped is written out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance import demo
from appliance.services.mixing import parts_of_mix
from tests.cli.conftest import Greenwave

LONG = "没有交通信号灯控制也没有交通警察指挥的路口，在进入路口前停车瞭望，让右方道路的来车先行。"


def imported(greenwave: Greenwave, folder: Path, name: str, *rows: tuple[str, str]) -> None:
    """A dataset of these questions and answers."""
    source = folder / f"{name}.jsonl"
    source.write_text("".join(json.dumps({"instruction": question, "output": answer}) + "\n" for question, answer in rows), "utf-8")
    made = greenwave("datasets", "import", source, "--name", name)
    assert made.status == 0, made.err


def test_look_before_anything_is_dropped(greenwave: Greenwave, tmp_path: Path) -> None:
    """Groups are listed with lines and words, again from what was found before; cleaning drops them only when asked, and on record."""
    imported(
        greenwave, tmp_path, "r", ("谁先行？", LONG), ("谁先行？", LONG + "特此。"), ("限速？", "60"), ("限速", "80"), ("红灯", "<b>停</b>")
    )
    for _ in range(2):
        near = greenwave("datasets", "groups", "r", "--json").json
        assert (near["facts"]["groups"], [row["line"] for row in near["groups"][0]["rows"]]) == (1, [1, 2])
    against = greenwave("datasets", "groups", "r", "--contradictions", "--json").json
    assert [[row["line"] for row in group["rows"]] for group in against["groups"]] == [[1, 2], [3, 4]]
    shown = greenwave("datasets", "groups", "r", "--contradictions", "--limit", 1)
    assert "group 1, 2 rows" in shown.out and "2 questions" in shown.err
    assert greenwave("datasets", "groups", "r", "--similarity", "2", "--json").error["code"] == "similarity_out_of_range"
    cleaned = greenwave("datasets", "clean", "r", "--set", "cleaning.near_duplicates=keep_first", "--json").json
    assert cleaned["counts"] == {"read": 5, "rows": 4, "dropped": 1, "changed": 1}
    assert cleaned["facts"]["recipe"]["near_duplicates"] == "keep_first"
    told = json.loads(greenwave("datasets", "export", "r-clean", "--rejected").out)
    assert (told["line"], told["why"]) == (2, "nearly the same as line 1, which is kept")
    assert told["row"]["messages"][1]["content"] == LONG + "特此。"
    assert greenwave("datasets", "export", "r-clean", tmp_path / "out.jsonl", "--rejected").status == 0
    assert json.loads((tmp_path / "out.jsonl").read_text("utf-8")) == told
    assert greenwave("datasets", "export", "r-clean", tmp_path / "out.jsonl", "--rejected").status == 2
    assert [row["line"] for row in greenwave("datasets", "show", "r-clean", "--rejected", "--json").json["rejected"]] == [2]


def test_three_sides(greenwave: Greenwave, tmp_path: Path) -> None:
    """With a test share there are three datasets of one parent; without one their names are as ever."""
    imported(greenwave, tmp_path, "r", *((f"问题{number}", f"回答{number}") for number in range(50)))
    made = greenwave("datasets", "split", "r", "--set", "split.test_share=0.2", "--json").json
    sizes = {part["name"]: part["counts"]["rows"] for part in (made, *made["also_made"])}
    assert sizes == {"r-train": 35, "r-validation": 5, "r-test": 10}
    assert greenwave("datasets", "split", "r", "--set", "split.stratify_by=class", "--json").error["code"] == "label_unknown"
    assert greenwave("datasets", "remove", "r", "--json").error["code"] == "still_needed"


def test_mix(greenwave: Greenwave, tmp_path: Path) -> None:
    """Shares as people write them, a fifth of general rows by default; parents are on record."""
    imported(greenwave, tmp_path, "a", *((f"问题{number}", f"回答{number}") for number in range(40)))
    imported(greenwave, tmp_path, "b", *((f"常识{number}", f"回答{number}") for number in range(30)))
    made = greenwave("datasets", "mix", "a:0.8", "b:0.2", "--name", "m", "--json").json
    assert made["counts"]["rows"] == 50
    again = greenwave("datasets", "mix", "a", "--general", "b", "--name", "m2", "--json").json
    assert (again["sha256"], again["counts"]) == (made["sha256"], made["counts"])
    for code, arguments in {
        "mix_not_whole": ("a:0.8", "b:0.3"),
        "mix_part_malformed": ("a:x",),
        "dataset_unknown": ("a", "c:0.1"),
        "name_taken": ("a", "b:0.2"),
    }.items():
        refused = greenwave("datasets", "mix", *arguments, "--name", "m", "--json")
        assert (refused.status, refused.error["code"]) == (2, code), refused.err
    assert greenwave("datasets", "remove", "b", "--json").error["code"] == "still_needed"


@pytest.mark.slow
def test_lengths_in_tokens(greenwave: Greenwave, tmp_path: Path) -> None:
    """Cleaning counts by the base that is named, and asks for one; mixing tells the tokens of every part."""
    imported(greenwave, tmp_path, "a", ("红灯", "停"), ("谁先行？", LONG))
    assert greenwave("datasets", "clean", "a", "--set", "cleaning.max_tokens=20", "--json").error["code"] == "cleaning_needs_base"
    assert greenwave("models", "import", demo.base_folder(), "--name", "base").status == 0
    cleaned = greenwave("datasets", "clean", "a", "--base", "base", "--set", "cleaning.max_tokens=20", "--json").json
    assert cleaned["facts"]["reasons"] == {"row_many_tokens": 1}
    imported(greenwave, tmp_path, "b", *((f"常识{number}", f"回答{number}") for number in range(3)))
    counted = greenwave("datasets", "mix", "a", "b=0.5", "--name", "m3", "--base", "base", "--json").json
    assert [part["used"] for part in counted["facts"]["parts"]] == [2, 2]
    assert all(part["tokens"] > 0 for part in counted["facts"]["parts"])


def test_parts_of_a_mix() -> None:
    """Names without a share divide what is left; general rows have theirs; all together are one."""
    assert parts_of_mix(["a:0.8", "b:0.2"]) == pytest.approx({"a": 0.8, "b": 0.2})
    assert parts_of_mix(["a", "b", "c=0.5"]) == pytest.approx({"a": 0.25, "b": 0.25, "c": 0.5})
    assert parts_of_mix(["a"], "g") == pytest.approx({"a": 0.8, "g": 0.2})
    assert parts_of_mix(["a", "g:0.4"], "g", 0.1) == pytest.approx({"a": 0.6, "g": 0.4})
    assert parts_of_mix(["a"], "g", 0.0) == {"a": 1.0}
    assert list(parts_of_mix(["b:0.5", "a:0.5"])) == ["b", "a"]
