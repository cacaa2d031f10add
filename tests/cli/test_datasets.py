"""``greenwave datasets``: from a file to a split dataset, and every way in which a file can be bad."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from appliance.texts.speech import LANGUAGES
from tests.cli.conftest import Greenwave

GOOD = {"instruction": "信号周期是多少？", "input": "", "output": "90 秒。"}


def lines(path: Path, *rows: object) -> Path:
    """A file of JSON lines; strings are written as they are."""
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row, ensure_ascii=False)) + "\n" for row in rows), "utf-8")
    return path


def test_import_clean_split_and_look(greenwave: Greenwave, tmp_path: Path) -> None:
    """The usual way: every count adds up, every step is listed, and the rows can be read and written out."""
    rows = [{"instruction": f"问题{number}", "output": f"回答{number}"} for number in range(40)]
    bad = {"instruction": "没有回答", "output": ""}
    source = lines(tmp_path / "records.jsonl", *rows, rows[0], bad, "{broken")
    made = greenwave("datasets", "import", source, "--name", "记录", "--json")
    assert made.status == 0, made.err
    assert made.json["counts"] == {"read": 43, "accepted": 41, "rejected": 2, "rows": 41}
    shown = greenwave("datasets", "show", "记录", "--rejected", "--json").json
    assert [entry["line"] for entry in shown["rejected"]] == [42, 43]
    cleaned = greenwave("datasets", "clean", "记录", "--json").json
    assert (cleaned["name"], cleaned["counts"]["rows"]) == ("记录-clean", 40)
    parts = greenwave("datasets", "split", "记录-clean", "--set", "split.validation_share=0.25", "--json").json
    sizes = {part["name"]: part["counts"]["rows"] for part in (parts, *parts["also_made"])}
    assert set(sizes) == {"记录-clean-train", "记录-clean-validation"}
    assert sum(sizes.values()) == 40
    assert [one["name"] for one in greenwave("datasets", "list", "--json").json][:2] == ["记录", "记录-clean"]
    preview = greenwave("datasets", "preview", "记录", "--rows", 2, "--json").json
    assert [message["role"] for message in preview[0]["messages"]] == ["user", "assistant"]
    assert greenwave("datasets", "export", "记录-clean", tmp_path / "out.jsonl").status == 0
    assert len((tmp_path / "out.jsonl").read_text("utf-8").splitlines()) == 40
    assert greenwave("datasets", "export", "记录-clean", tmp_path / "out.jsonl", "--json").error["code"] == "target_exists"
    runs = greenwave("runs", "list", "--json").json
    assert [(run["state"], run["stages"][0]["stage"]) for run in runs] == [("done", "split"), ("done", "clean"), ("done", "ingest")]


def test_what_others_were_made_from_is_not_removed(greenwave: Greenwave, tmp_path: Path) -> None:
    """A dataset goes only when nothing was made from it, and then its files go with it."""
    source = lines(tmp_path / "records.jsonl", GOOD)
    made = greenwave("datasets", "import", source, "--name", "rows", "--json").json
    cleaned = greenwave("datasets", "clean", "rows", "--json").json
    refused = greenwave("datasets", "remove", "rows", "--json")
    assert (refused.status, refused.error["code"]) == (2, "still_needed")
    assert greenwave("datasets", "remove", "rows-clean", "--json").status == 0
    assert not Path(cleaned["path"]).exists()
    assert greenwave("datasets", "remove", "rows", "--json").status == 0
    assert not Path(made["path"]).exists()


def test_columns_of_a_table_can_be_named(greenwave: Greenwave, tmp_path: Path) -> None:
    """A CSV whose headings nobody could guess is read by the columns that the user names."""
    table = tmp_path / "table.csv"
    table.write_text("编号,群众来电,处理意见\n1,红灯太长,已调整为 60 秒\n2,护栏损坏,已报修\n", "utf-8-sig")
    made = greenwave(
        "datasets", "import", table, "--name", "t", "--column", "instruction=群众来电", "--column", "output=处理意见", "--json"
    )
    assert made.status == 0, made.err
    assert made.json["counts"]["accepted"] == 2


BAD_FILES = {
    "empty": b"",
    "whitespace": b" \n\n ",
    "an_object": b'{"a": 1}',
    "a_number": b"42\n",
    "binary": bytes(range(256)) * 200,
    "no_answers": b'{"instruction": "x", "output": ""}\n' * 3,
    "not_rows": b'["a", "b"]',
    "nul_bytes": b"\0" * 5000,
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_without_a_usable_row_is_one_named_error(greenwave: Greenwave, tmp_path: Path, name: str) -> None:
    """Exit code 3, one sentence, one hint, and nothing is kept that looks like a dataset."""
    source = tmp_path / "bad.jsonl"
    source.write_bytes(BAD_FILES[name])
    refused = greenwave("datasets", "import", source, "--name", "bad", "--json")
    assert refused.status == 3, refused.err
    assert refused.error["message"]
    assert refused.error["hint"]
    assert refused.error["code"] != "stage_defect"
    assert greenwave("datasets", "list", "--json").json == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_errors_are_told_in_the_chosen_language(
    greenwave: Greenwave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, language: str
) -> None:
    """The same mistake, told in Chinese and in English, without a traceback."""
    monkeypatch.setenv("GREENWAVE_LANG", language)
    refused = greenwave("datasets", "import", tmp_path / "none.jsonl", "--name", "x")
    assert refused.status == 3
    assert ("无法读取" if language == "zh" else "cannot be read") in refused.err
    assert ("怎么办" if language == "zh" else "What to do") in refused.err
    assert "Traceback" not in refused.err


def test_the_bad_places_and_names(greenwave: Greenwave, tmp_path: Path) -> None:
    """A folder, a taken name, a name that is a path, a column that is not there: each by its own code and exit status."""
    source = lines(tmp_path / "records.jsonl", GOOD)
    table = tmp_path / "table.csv"
    table.write_text("问题,回答\na,b\n", "utf-8")
    assert greenwave("datasets", "import", source, "--name", "rows").status == 0
    attempts = {
        "source_is_folder": (3, (tmp_path, "--name", "x")),
        "name_taken": (2, (source, "--name", "rows")),
        "name_not_allowed": (2, (source, "--name", "../up")),
        "column_missing": (3, (table, "--name", "y", "--column", "instruction=没有", "--column", "output=回答")),
        "column_malformed": (2, (table, "--name", "y", "--column", "instruction")),
    }
    for code, (status, arguments) in attempts.items():
        refused = greenwave("datasets", "import", *arguments, "--json")
        assert (refused.status, refused.error["code"]) == (status, code), refused.err


def test_what_the_terminal_would_obey_is_not_printed(greenwave: Greenwave, tmp_path: Path) -> None:
    """Escape sequences and other controls in a row reach the screen as pictures of themselves."""
    row = {"instruction": "\x1b[2J\x1b]0;owned\x07清屏", "output": "\x9b31m\u202e倒\x00序"}
    source = lines(tmp_path / "records.jsonl", row)
    assert greenwave("datasets", "import", source, "--name", "hostile").status == 0
    shown = greenwave("datasets", "preview", "hostile").out
    assert not any(character in shown for character in "\x1b\x07\x9b\x00\u202e")
    assert "清屏" in shown
