"""Every form of training rows, as lines and as a list, recognised by its content and turned into the same messages."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

Import = Callable[..., Any]

ALPACA = {"instruction": "解释绿波带", "input": "城市主干道", "output": "连续路口协调放行。"}
ALPACA_TURNS = [("user", "解释绿波带\n\n城市主干道"), ("assistant", "连续路口协调放行。")]
LONG_ALPACA = {**ALPACA, "system": "你是交警。", "history": [["你好", "您好"]]}
SHAREGPT = {"conversations": [{"from": "human", "value": "问"}, {"from": "gpt", "value": "答"}]}
MESSAGES = {"messages": [{"role": "user", "content": "问"}, {"role": "assistant", "content": "答"}]}
PARTS = {
    "messages": [{"role": "user", "content": [{"type": "text", "text": "甲"}, {"type": "text", "text": "乙"}]}, MESSAGES["messages"][1]]
}
SHORT_TURNS = [("user", "问"), ("assistant", "答")]

FORMS = {
    "alpaca": (ALPACA, "alpaca", ALPACA_TURNS),
    "alpaca without input": ({"instruction": "问", "input": None, "output": "答"}, "alpaca", SHORT_TURNS),
    "alpaca with the question as input": ({"instruction": "", "input": "问", "output": "答"}, "alpaca", SHORT_TURNS),
    "alpaca with system and history": (
        LONG_ALPACA,
        "alpaca",
        [("system", "你是交警。"), ("user", "你好"), ("assistant", "您好"), *ALPACA_TURNS],
    ),
    "alpaca under other names": ({"问题": "问", "回答": "答", "编号": 7}, "alpaca", SHORT_TURNS),
    "sharegpt": (SHAREGPT, "sharegpt", SHORT_TURNS),
    "sharegpt with system": ({**SHAREGPT, "system": "甲"}, "sharegpt", [("system", "甲"), *SHORT_TURNS]),
    "sharegpt with other role names": (
        {"conversations": [{"from": "system", "value": "甲"}, {"from": "User", "value": "问"}, {"from": "bing", "value": "答"}]},
        "sharegpt",
        [("system", "甲"), *SHORT_TURNS],
    ),
    "messages": (MESSAGES, "messages", SHORT_TURNS),
    "messages with a developer": (
        {"messages": [{"role": "developer", "content": "甲"}, *MESSAGES["messages"]]},
        "messages",
        [("system", "甲"), *SHORT_TURNS],
    ),
    "messages in parts": (PARTS, "messages", [("user", "甲\n乙"), ("assistant", "答")]),
    "messages with an empty system turn": (
        {"messages": [{"role": "system", "content": " "}, *MESSAGES["messages"]]},
        "messages",
        SHORT_TURNS,
    ),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("container", ["lines", "one line each, Windows", "list", "list over many lines", "list on one line"])
def test_forms_are_recognised(import_bytes: Import, form: str, container: str) -> None:
    """The form is found by content alone, whatever the file is called, and all its rows arrive."""
    row, importer, turns = FORMS[form]
    lines = [json.dumps(row, ensure_ascii=False)] * 3
    text = {
        "lines": "\n".join(lines),
        "one line each, Windows": "\ufeff" + "\r\n".join(lines) + "\r\n",
        "list": "[\n" + ",\n".join(lines) + "\n]\n",
        "list over many lines": json.dumps([row] * 3, ensure_ascii=False, indent=4),
        "list on one line": json.dumps([row] * 3),
    }[container]
    imported = import_bytes(text.encode(), name="什么都行.dat")
    assert imported.turns == [turns] * 3
    assert imported.facts["format"] == importer
    assert imported.facts["counts"] == {"read": 3, "accepted": 3, "rejected": 0, "rows": 3}
    assert imported.rejected == []


def test_source_names_the_line(import_bytes: Import) -> None:
    """A row says the line it came from, blank lines counted; a row of a list says its element, too."""
    line = json.dumps(ALPACA)
    assert [row["source"] for row in import_bytes(f"{line}\n\n{line}".encode()).rows] == ["rows.jsonl:1", "rows.jsonl:3"]
    listed = import_bytes(f"[\n{line},\n\n{line},{line}]".encode(), name="rows.json")
    assert [row["source"] for row in listed.rows] == ["rows.json:2#1", "rows.json:4#2", "rows.json:4#3"]


def test_mixed_file_goes_to_the_majority(import_bytes: Import) -> None:
    """Rows of another form inside a file are rejected with their reason, and the file is read as what most of it is."""
    rows = [SHAREGPT, ALPACA, SHAREGPT]
    imported = import_bytes("\n".join(map(json.dumps, rows)).encode())
    assert imported.facts["format"] == "sharegpt"
    assert imported.reasons == [(2, "row_field_missing")]


def test_json_columns_can_be_named(import_bytes: Import) -> None:
    """Keys that nobody could guess are mapped on request, and the mapping is on record."""
    data = json.dumps({"q1": "问", "a1": "答"}).encode()
    imported = import_bytes(data, columns={"instruction": "q1", "output": "a1"})
    assert imported.turns == [SHORT_TURNS]
    assert imported.facts["columns"] == {"instruction": "q1", "output": "a1"}


def test_missing_answer_in_one_column_mapping(import_bytes: Import) -> None:
    """A mapped file still has its rows checked one by one."""
    rows = [{"问题": "问", "回答": "答"}, {"问题": "问"}]
    imported = import_bytes("\n".join(map(json.dumps, rows)).encode())
    assert imported.reasons == [(2, "row_without_answer")]


TABLES = {
    "comma": ("问题,回答\n问,答\n", "utf-8"),
    "semicolon": ("question;answer;id\n问;答;1\n", "utf-8"),
    "tab": ("instruction\toutput\n问\t答\n", "utf-8"),
    "bar": ("prompt|response\n问|答\n", "utf-8"),
    "byte order mark": ("\ufeff问题,回答\r\n问,答\r\n", "utf-8"),
    "quoted": ('"问题","回答"\n"问","答"\n', "utf-8"),
    "GB18030": ("编号,问题,回答\n1,问,答\n", "gb18030"),
    "title and content": ("标题,内容\n问,答\n", "utf-8"),
    "spaces and case": (" Question , Answer \n问,答\n", "utf-8"),
    "empty cells at the end": ("问题,回答\n问,答,,\n,,\n\n", "utf-8"),
}


@pytest.mark.parametrize("kind", TABLES)
def test_tables_are_recognised(import_bytes: Import, kind: str) -> None:
    """Delimiter and columns are found without being told; blank records are no rows."""
    text, encoding = TABLES[kind]
    imported = import_bytes(text.encode(encoding), name="表.txt")
    assert imported.turns == [SHORT_TURNS]
    assert imported.facts["format"] == "csv"
    assert imported.facts["counts"]["read"] == 1


def test_quoted_fields_keep_delimiters_and_lines(import_bytes: Import) -> None:
    """A quoted field may hold commas, doubled quotes, empty lines; line numbers say where the record begins."""
    imported = import_bytes('问题,回答\n"甲,乙","他说""停""\n\n然后走"\n丙,丁\n'.encode(), name="a.csv")
    assert imported.turns == [[("user", "甲,乙"), ("assistant", '他说"停"\n\n然后走')], [("user", "丙"), ("assistant", "丁")]]
    assert [row["source"] for row in imported.rows] == ["a.csv:2", "a.csv:5"]


def test_asked_columns_win_over_guesses(import_bytes: Import) -> None:
    """What the operator names is taken even where a guess would be possible."""
    imported = import_bytes("问题,回答,终稿\n问,甲,答\n".encode(), name="a.csv", columns={"output": "终稿"})
    assert imported.turns == [SHORT_TURNS]
    assert imported.facts["columns"] == {"instruction": "问题", "output": "终稿"}
