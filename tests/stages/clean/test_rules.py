"""Every cleaning rule keeps its contract, and drops or changes what it is there for and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from appliance import demo
from appliance.domain.conversation import Conversation, Message
from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice
from appliance.domain.recipe import CleaningRecipe
from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules import JUDGES, MEETING_RULES, ROW_RULES, RULE_NAMES
from appliance.stages.clean.rules.contradictions import question_of
from appliance.stages.clean.rules.markup import readable
from appliance.stages.clean.rules.repetition import repeated_share
from appliance.stages.clean.rules.rule import Dropped, Passed
from appliance.texts.speech import LANGUAGES, say

Clean = Callable[..., Any]
STRICT = CleaningRecipe(
    min_answer_chars=2,
    max_chars=16,
    min_chinese_share=0.3,
    min_english_share=0.1,
    max_repeated_share=0.3,
    max_symbol_share=0.5,
    near_duplicates="keep_longest",
    similarity=0.5,
    contradictions="keep_first",
    min_tokens=2,
    max_tokens=12,
)
SPEC = CleanSpec(rows="", output="", base=str(demo.base_folder()), recipe=STRICT)
TEXTS = st.text("a，Ａ\u200b \n\x00长<br>&lt;#锟斤拷", min_size=1, max_size=40) | st.sampled_from(["扫码关注我们", "长" * 80, "限速多少"])


def row(question: str, answer: str, **fields: Any) -> Conversation:
    """A conversation of one question and one answer."""
    return Conversation((Message("user", question), Message("assistant", answer)), **fields)


def any_rows(pairs: list[tuple[str, str]]) -> list[Row]:
    """Conversations and, of every third pair, a document."""
    return [
        Document(answer, f"f:{number}", {"class": "c"})
        if number % 3 == 0
        else row(question, answer, source=f"f:{number}", labels={"class": "c"})
        for number, (question, answer) in enumerate(pairs, 1)
    ]


def has_words(dropped: Dropped) -> bool:
    """Whether a verdict can be told in both languages."""
    return all("{" not in (told := say("problems", dropped.reason, language, **dropped.parameters)) and told for language in LANGUAGES)


@pytest.mark.parametrize(("name", "make"), ROW_RULES)
@settings(max_examples=25)
@given(st.lists(st.tuples(TEXTS, TEXTS), max_size=6))
def test_rule_about_one_row(name: str, make: Any, pairs: list[tuple[str, str]]) -> None:
    """The same object, a changed row with its source and labels, or a verdict with words; again and in any order the same."""
    apply, rows = _made(name, make), any_rows(pairs)
    outcomes = [apply(one) for one in rows]
    assert outcomes == [_made(name, make)(one) for one in reversed(rows)][::-1]
    for before, after in zip(rows, outcomes, strict=True):
        if isinstance(after, Dropped):
            assert has_words(after)
        else:
            assert after is before or (after != before and (after.source, after.labels) == (before.source, before.labels))
            assert apply(after) is after, "a rule has nothing to add to its own work"


_kept: dict[str, Any] = {}


def _made(name: str, make: Any) -> Any:
    """One of a rule that takes a second to make."""
    if name != "tokens":
        return make(SPEC)
    return _kept.setdefault(name, make(SPEC))


@pytest.mark.parametrize(("name", "make"), MEETING_RULES)
@given(st.lists(st.binary(min_size=1, max_size=1), max_size=20))
def test_rule_about_earlier_rows(name: str, make: Any, hashes: list[bytes]) -> None:
    """The first of each passes; the verdict on others has words and names an earlier line."""
    meet = make(STRICT)
    for line, content_hash in enumerate(hashes, 1):
        dropped = meet(content_hash, line)
        assert (dropped is None) == (content_hash not in hashes[: line - 1]), name
        assert dropped is None or (has_words(dropped) and dropped.parameters["first_line"] == hashes.index(content_hash) + 1)


@pytest.mark.parametrize(("name", "make"), JUDGES)
def test_rule_about_all_rows(name: str, make: Any, tmp_path: Path) -> None:
    """Verdicts have words, name rows that are there, leave one row of each group, and are the same again."""
    from appliance.domain.row import row_to_json

    rows = any_rows([("限速多少", answer) for answer in ("六十公里每小时", "六十公里每小时。", "八十公里", "六十公里每小时")] * 3)
    passed = Passed(tmp_path / "rows.jsonl")
    passed.rows.write_bytes(b"".join(row_to_json(one) + b"\n" for one in rows))
    for line, one in enumerate(rows, 1):
        passed.lines.append(line)
        passed.questions.append(question_of(one))
    events: list[Event] = []
    found = make(STRICT)(passed, frozenset(), events.append)
    assert found == make(STRICT)(passed, frozenset(), events.append)
    assert found.dropped.keys() < set(range(len(rows))) and found.dropped, name
    assert all(map(has_words, found.dropped.values()))
    assert found.facts["groups"] >= 1 and found.facts["grouped"] > len(found.listed)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"], "what was needed to compare is removed"


def test_every_rule_can_be_switched_off(clean_rows: Clean) -> None:
    """With everything off, rows that offend every rule stay as they are."""
    offence = row("<b>\u200bＡ", "锟斤拷" + "###" * 30)
    off: dict[str, Any] = dict.fromkeys(("markup", "invisible", "normalise", "boilerplate", "exact_duplicates"), False)
    off |= dict.fromkeys(("max_other_share", "max_repeated_share", "max_symbol_share"), 1.0)
    cleaned = clean_rows([offence, offence], **off, contradictions="off")
    assert len(cleaned.rows) == 2
    assert set(cleaned.artifact.facts["rules"]) == {"length"}
    assert len(set(RULE_NAMES)) == len(RULE_NAMES)


MARKUP = {
    "tags": ("<p>路口<b>封闭</b></p><p>请绕行</p>", "\n路口封闭\n\n请绕行\n"),
    "attributes": ("<a href='x.html' class=\"y\">公告</a>", "公告"),
    "line breaks": ("一<br/>二<BR>三", "一\n二\n三"),
    "scripts": ("前<script>alert('<b>')</script>后<style>p{}</style>", "前后"),
    "comments": ("前<!-- <p>看不见 -->后", "前后"),
    "entities": ("A&amp;B &lt;60&nbsp;km&#x2F;h&#65311;", "A&B <60\u00a0km/h？"),
    "hidden entities": ("&amp;lt;p&amp;gt;路", "\n路"),
    "cells": ("<tr><td>周期</td><td>90</td></tr>", "\n 周期  90 \n"),
}
NO_MARKUP = [
    "车速 x < 60 且 y > 3",
    "<车牌>",
    "a<b and c>d",
    "AT&T;",
    "<未知 标签>",
    "前<!-- 没有结尾",
    "<script>没有结尾",
    "R&D",
    "a --> b",
]


@pytest.mark.parametrize("kind", MARKUP)
def test_markup_becomes_text(kind: str) -> None:
    """A page's text is what its reader saw."""
    before, after = MARKUP[kind]
    assert readable(before) == after


@pytest.mark.parametrize("text", NO_MARKUP)
def test_what_only_looks_like_markup_is_not_lost(text: str) -> None:
    """No word goes with a tag that is none, or that never ends."""
    kept = readable(text)
    assert kept.replace("<!--", "").replace("<script>", "") == text.replace("<!--", "").replace("<script>", "")


@pytest.mark.parametrize(
    "text", ["<!--" * 20_000, "<script>" * 20_000, "<a " * 30_000, "&amp;" * 30_000, "<a" + " b=c" * 20_000, "<" * 90_000]
)
def test_hostile_markup_takes_no_time(text: str) -> None:
    """Nothing that is nested, unfinished or endless is looked at more than a few times."""
    assert len(readable(text)) <= len(text)


DROPPED = {
    "row_only_markup": row("<p></p>", "答案在这里"),
    "row_nothing_visible": row("\u200b", "答案在这里"),
    "row_only_boilerplate": row("怎么办理", "扫码关注我们的公众号"),
    "row_answer_short": row("可以吗", ""),
    "row_long": row("长" * 20_000, "短" * 20_000),
    "row_mojibake": row("怎么办理", "锟斤拷锟斤拷"),
    "row_symbols": row("怎么办理", "#￥%……&*（）——+{}|：“《》？#￥"),
    "row_other_language": row("как дела", "Спасибо хорошо"),
    "row_repetition": row("怎么办理", "请到窗口办理业务，" * 40),
    "row_duplicate": row("红灯", "停"),
}


def test_every_reason(clean_rows: Clean) -> None:
    """Each rule of the defaults drops the row it is there for, and the rows beside it stay."""
    good: list[Row] = [row("红灯", "停"), row("ABC and more?", "Stop at the line; wait for green."), Document("本规定自发布之日起施行。")]
    cleaned = clean_rows([*good, *DROPPED.values()])
    assert {record["reason"]: record["line"] for record in cleaned.rejected} == {
        reason: line for line, reason in enumerate(DROPPED, len(good) + 1)
    }
    assert cleaned.artifact.facts["counts"]["rows"] == len(good)


def test_furniture_goes_and_the_matter_stays(clean_rows: Clean) -> None:
    """Advertising lines go from within a text; questions about them, and words in a sentence, stay."""
    text = "路口信号已调整。\n责任编辑：小王\n版权所有 ©2024\n请点击下方按钮报名，也可电话预约。\n扫码关注“交警发布”公众号"
    cleaned = clean_rows([Document(text), row("版权所有是什么意思？", "指权利归作者。")])
    assert [one.get("text") for one in cleaned.rows] == ["路口信号已调整。\n请点击下方按钮报名，也可电话预约。", None]
    assert cleaned.artifact.facts["rules"]["boilerplate"]["changed"] == 1


def test_language_shares(clean_rows: Clean) -> None:
    """Shares are of letters alone; a row of figures has no language and stays."""
    rows = [row("什么是 LED", "发光二极管"), row("What is LED", "A diode"), row("1+1", "2")]
    assert clean_rows(rows, min_chinese_share=0.5).answers == ["发光二极管", "2"]
    assert clean_rows(rows, min_english_share=0.5).answers == ["A diode", "2"]


def test_repetition_is_measured_by_the_text_itself() -> None:
    """Ordinary texts repeat nothing, however long; a sentence said ten times is nine tenths repetition."""
    assert repeated_share("".join(map(chr, range(0x4E00, 0x4E00 + 500)))) == 0
    assert 0.85 < repeated_share("机动车通过没有交通信号灯的路口应当减速慢行。" * 10) < 0.95


def test_tokens_of_a_base(clean_rows: Clean) -> None:
    """Limits in tokens need a base and count by its own tokenizer and template."""
    from appliance.stages.language_model.token_count import token_counter

    rows: list[Row] = [row("红灯", "停"), row("红灯可以右转吗", "在不妨碍被放行车辆和行人的情况下可以右转。"), Document("绿灯行")]
    count = token_counter(demo.base_folder())
    lengths = [count(one) for one in rows]
    assert lengths[2] < lengths[0] < lengths[1]
    cleaned = clean_rows(rows, max_tokens=lengths[0], base=str(demo.base_folder()))
    assert [record["parameters"] for record in cleaned.rejected] == [{"tokens": lengths[1], "limit": lengths[0]}]
    with pytest.raises(ApplianceError, match="cleaning_needs_base") as caught:
        clean_rows(rows, min_tokens=2)
    assert caught.value.exit_code is ExitCode.USAGE


NEAR = "在没有交通信号灯控制也没有交通警察指挥的路口，车辆应当让右方道路的来车先行。"


def test_near_duplicates(clean_rows: Clean) -> None:
    """Listed they stay; dropped, one of each group stays, and the record names its line in the parent's file."""
    rows = [row("红灯", "停"), row("谁先行？", NEAR), row("谁先行？", NEAR + "特此说明"), row("谁先行?", "", rejected="")]
    listed = clean_rows(rows, near_duplicates="list", contradictions="off")
    assert len(listed.rows) == 3
    found = listed.artifact.facts["rules"]["near_duplicates"]
    assert (found["groups"], found["grouped"], found["dropped"]) == (1, 2, 0)
    assert [one["line"] for one in found["listed"][0]] == [2, 3]
    assert any(isinstance(event, Notice) and event.code == "near_duplicates_found" for event in listed.events)
    for choice, kept, gone in (("keep_first", 2, 3), ("keep_longest", 3, 2)):
        cleaned = clean_rows(rows, near_duplicates=choice, contradictions="off")
        assert [(record["line"], record["reason"], record["parameters"]) for record in cleaned.rejected] == [
            *([(gone, "row_near_duplicate", {"kept_line": kept})] if gone == 2 else []),
            *([(3, "row_near_duplicate", {"kept_line": kept})] if gone == 3 else []),
            (4, "row_answer_short", {"chars": 0, "limit": 1}),
        ]
        assert sorted(path.name for path in cleaned.folder.iterdir()) == ["rejected.jsonl", "rows.jsonl"]


def test_contradictions(clean_rows: Clean) -> None:
    """One question with different answers is listed, and dropped only when the recipe says so; agreeing answers are none."""
    rows = [row("限速多少？", "60"), row("限速多少", "60。"), row(" 限速多少？ ", "80"), row("红灯", "停"), row("红灯", "停！")]
    listed = clean_rows(rows)
    found = listed.artifact.facts["rules"]["contradictions"]
    assert (len(listed.rows), found["groups"], found["grouped"]) == (5, 1, 3)
    assert clean_rows(rows, contradictions="keep_first").answers == ["60", "60。", "停", "停！"]
    cleaned = clean_rows(rows, contradictions="drop_all")
    assert cleaned.answers == ["停", "停！"]
    assert [record["reason"] for record in cleaned.rejected] == ["row_contradiction"] * 3
    assert cleaned.artifact.facts["counts"] == {"read": 5, "rows": 2, "dropped": 3, "changed": 0}


def test_documents_are_cleaned_as_conversations_are(clean_rows: Clean) -> None:
    """Texts are changed, duplicates dropped, lengths left alone; the result is documents."""
    texts = ["<p>第一条</p>\u200b为了加强管理。", "第一条\n为了加强管理。", "".join(map(chr, range(0x4E00, 0x9E00)))]
    cleaned = clean_rows([Document(text, f"a.txt:{line}") for line, text in enumerate(texts, 1)], max_chars=16)
    assert [one["text"] for one in cleaned.rows] == ["第一条\n为了加强管理。", texts[2]]
    assert cleaned.artifact.facts["kind"] == "documents"
    assert [record["reason"] for record in cleaned.rejected] == ["row_duplicate"]


def test_processes_change_nothing(clean_rows: Clean, monkeypatch: pytest.MonkeyPatch) -> None:
    """One process and two give the same bytes, the same record and the same report; labels go with their rows."""
    from appliance.stages.clean import passing

    monkeypatch.setattr(passing, "BLOCK", 1 << 14)
    rows: list[Row] = [
        row(
            f"第{number % 400}号路口<b>限速</b>多少",
            f"{number % 399} 公里\u200b，{'详见公告' * (number % 5)}。",
            labels={"class": str(number % 3)},
        )
        for number in range(1500)
    ]
    one, two = (clean_rows(rows, processes=count, near_duplicates="keep_first") for count in (1, 2))
    for name in ("rows.jsonl", "rejected.jsonl"):
        assert (one.folder / name).read_bytes() == (two.folder / name).read_bytes()
    facts = [{**cleaned.artifact.facts, "seconds": 0} for cleaned in (one, two)]
    assert facts[0] == facts[1]
    assert {made["labels"]["class"] for made in one.rows} <= {"0", "1", "2"}
    lines = [record["line"] for record in one.rejected]
    assert lines == sorted(lines) and len(lines) + len(one.rows) == len(rows)


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("near_duplicates", ["off", "keep_first"])
def test_a_stop_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, processes: int, near_duplicates: str) -> None:
    """Told to stop in the middle, or while near-duplicates are compared, cleaning leaves no folder, no scratch file and no process."""
    import psutil

    from appliance.domain.event import Progress, Started
    from appliance.domain.row import row_to_json
    from appliance.processes.stopping import Stopped
    from appliance.stages import clean
    from appliance.stages.clean import passing

    monkeypatch.setattr(passing, "BLOCK", 1 << 12)
    rows = tmp_path / "rows.jsonl"
    rows.write_bytes(
        b"".join(row_to_json(row(f"第{number}问", "答" * (number % 7 + 1), source=f"f:{number}")) + b"\n" for number in range(400))
    )
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    part = ""

    def stop_at(event: Event) -> None:
        nonlocal part
        part = event.what if isinstance(event, Started) else part
        if isinstance(event, Progress) and part == ("clean" if near_duplicates == "off" else "near_duplicates"):
            raise Stopped

    recipe = CleaningRecipe(near_duplicates=near_duplicates)  # type: ignore[arg-type]  # one of its choices
    with pytest.raises(Stopped):
        clean.run(CleanSpec(rows=str(rows), output=str(tmp_path / "out"), recipe=recipe), stop_at, processes)
    assert [left.name for left in tmp_path.iterdir()] == ["rows.jsonl"]
    left = {child for child in psutil.Process().children(recursive=True) if "resource_tracker" not in " ".join(child.cmdline())}
    assert not {child.pid for child in left} - before
