"""The sample records and the exam: enough rows, some dirt, and questions that no row and no pre-training text gives away."""

import json
import re
from collections import Counter
from itertools import combinations, islice

from appliance.demo import exam_file, records_file
from scripts.teaching.facts import kinds
from scripts.teaching.records import city_facts, city_names, exam, good_rows, record_lines
from scripts.teaching.text import documents

LINES = records_file().read_text(encoding="utf-8").splitlines()
SUBJECTS = re.compile("|".join({fact.subject for fact in city_facts()}))
ASCII_MARKS = str.maketrans("?,:", "？，：")
"""NFKC turns full-width punctuation into ASCII; cleaning leaves it alone."""
QUESTIONS = [json.loads(line) for line in exam_file().read_text(encoding="utf-8").splitlines()]


def parsed_rows() -> list[dict[str, str]]:
    """The rows of records.jsonl that are valid JSON."""
    rows = []
    for line in LINES:
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return rows


def clean_rows() -> list[dict[str, str]]:
    """The rows that nothing is wrong with, each once."""
    good = [row for row in parsed_rows() if row["output"] and not re.search(r"[<&\s　０-９]", "".join(row.values()))]
    return [dict(items) for items in dict.fromkeys(tuple(row.items()) for row in good)]


def skeleton(text: str) -> str:
    """The wording without its subject, numbers and punctuation: what remains when the fact is taken out."""
    return re.sub(r"[\W\d]", "", SUBJECTS.sub("", text))


def shingles(text: str) -> set[str]:
    """The character 3-grams of a text."""
    return {text[start : start + 3] for start in range(len(text) - 2)}


def test_files_are_what_the_generator_makes() -> None:
    """Making the records and the exam again gives the same files, byte for byte."""
    assert records_file().read_bytes() == "".join(f"{line}\n" for line in record_lines()).encode()
    assert exam_file().read_bytes() == "".join(f"{question.line()}\n" for question in exam()).encode()


def test_another_seed_makes_another_city() -> None:
    """Names and values really are drawn: another seed gives other facts."""
    assert {fact.answer() for fact in city_facts(1)}.isdisjoint({fact.answer() for fact in city_facts(2)})


def test_there_are_enough_good_rows() -> None:
    """At least 300 clean Alpaca rows, each fact in four wordings, some with their question in `input`."""
    rows = clean_rows()
    assert len(rows) >= 300
    assert all(set(row) == {"instruction", "input", "output"} for row in rows)
    assert set(Counter(row["output"] for row in rows).values()) == {4}
    assert 0.15 < sum(bool(row["input"]) for row in rows) / len(rows) < 0.4


def test_the_dirt_is_there() -> None:
    """The file holds exact copies, disguised copies, rows without an answer and one broken line for the pipeline to find."""
    rows = parsed_rows()
    copies = Counter(json.dumps(row) for row in rows)
    assert sum(count - 1 for count in copies.values()) == 12
    assert sum(not row["output"] for row in rows) == 3
    assert len(LINES) - len(rows) == 1
    text = "".join("".join(row.values()) for row in rows)
    assert all(mark in text for mark in ("&nbsp;", "<b>", "　", "\t", "\r\n"))
    assert re.search("[０-９]", text)
    assert not re.search("[<&]", "".join(row["output"] for row in rows)), "no markup is taught as an answer"


def test_disguised_rows_become_copies_once_they_are_cleaned() -> None:
    """Normalising width, entities, tags and blanks turns every disguised row into a row that is already there."""
    from html import unescape
    from unicodedata import normalize

    known = {(row["instruction"], row["output"]) for row in clean_rows()}
    disguised = [row for row in parsed_rows() if re.search(r"[<&\s　０-９]", "".join(row.values()))]
    assert len(disguised) == 6
    for row in disguised:
        plain = [re.sub(r"<[^>]+>", "", normalize("NFKC", unescape(row[field]))).strip() for field in ("instruction", "output")]
        assert tuple(text.translate(ASCII_MARKS) for text in plain) in known


def test_good_rows_are_no_near_duplicates() -> None:
    """No two good rows are so alike that near-duplicate removal (usually from 0.8) would throw one out."""
    parts = [shingles("\n".join(row.values())) for row in good_rows()]
    assert max(len(first & second) / len(first | second) for first, second in combinations(parts, 2)) < 0.7


def test_exam_is_well_formed() -> None:
    """At least 200 different questions with unique ids; each names its keywords and forbids nothing."""
    assert len(QUESTIONS) >= 200
    assert len({question["id"] for question in QUESTIONS}) == len(QUESTIONS)
    assert len({question["question"] for question in QUESTIONS}) == len(QUESTIONS)
    for question in QUESTIONS:
        assert list(question) == ["id", "question", "required", "forbidden"]
        assert question["required"]
        assert question["forbidden"] == []


def test_questions_do_not_give_their_answer_away() -> None:
    """No required keyword stands in the question itself."""
    assert not [question for question in QUESTIONS if any(keyword in question["question"] for keyword in question["required"])]


def test_every_question_is_answered_by_the_rows() -> None:
    """For each question there is a row about the same subject whose answer holds all its keywords, and every fact is examined."""
    examined = set()
    for question in QUESTIONS:
        matching = {
            fact.answer()
            for fact in city_facts()
            if fact.subject in question["question"] and all(keyword in fact.answer() for keyword in question["required"])
        }
        assert matching, question
        examined |= matching
    answers = {row["output"] for row in clean_rows()}
    assert examined == answers


def test_exam_wordings_do_not_occur_in_the_rows() -> None:
    """No exam wording is in the rows: not literally, and not with the subject taken out of both."""
    asked_in_rows = [row["input"] or row["instruction"] for row in parsed_rows()]
    whole_rows = "\n".join(skeleton("".join(row.values())) for row in clean_rows())
    skeletons = {skeleton(question) for question in asked_in_rows}
    for question in QUESTIONS:
        assert question["question"] not in asked_in_rows
        assert skeleton(question["question"]) not in skeletons
        assert skeleton(question["question"]) not in whole_rows


def test_wordings_are_different_for_every_kind() -> None:
    """No wording is written twice, and each names its subject, so that a question always points at one fact."""
    wordings = [wording for kind in kinds() for wording in (*kind.records, *kind.exam)]
    assert len(set(wordings)) == len(wordings)
    assert all(wording.count("{s}") == 1 for wording in wordings)
    assert all(len(kind.records) == 4 and len(kind.exam) == 3 for kind in kinds())


def test_facts_cannot_be_confused() -> None:
    """Subjects of one sort share no character of their names, and two facts of one kind never have the same values."""
    facts = city_facts()
    assert len({(fact.kind.name, fact.subject) for fact in facts}) == len(facts)
    assert len({(fact.kind.name, fact.values) for fact in facts}) == len(facts)
    for kind in kinds():
        names = "".join(sorted({fact.subject[:2] for fact in facts if fact.kind.subject == kind.subject}))
        assert len(set(names)) == len(names)


def test_values_are_diverse() -> None:
    """Facts are not all a number with a unit: a third and more are names, colours, places, times, causes or codes."""
    rules = Counter(rule.split()[0] for kind in kinds() for rule in kind.values[:1])
    assert len(rules) >= 8
    assert sum(count for rule, count in rules.items() if rule not in {"int", "dec"}) >= len(kinds()) / 3


def test_pre_training_never_meets_the_city() -> None:
    """No subject of the city occurs in 20,000 documents of pre-training text, so none of its facts does."""
    text = "\n".join("".join(piece.text for piece in pieces) for pieces in islice(documents(1, city_names()), 20_000))
    subjects = {fact.subject for fact in city_facts()}
    assert not [subject for subject in subjects if subject in text]
    without_the_rule = "\n".join("".join(piece.text for piece in pieces) for pieces in islice(documents(1, frozenset()), 10_000))
    assert [subject for subject in subjects if subject in without_the_rule], "the check must be able to fail"


def test_records_hold_nothing_that_looks_personal() -> None:
    """No long digit run, no number plate and no role with a name: nothing that the privacy stage has to replace."""
    text = "".join("".join(row.values()) for row in parsed_rows())
    assert not re.search(r"\d{5,}", text)
    assert not re.search(r"[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼][A-Z][A-Z0-9]{4,}", text)
    assert not re.search(r"(驾驶人|当事人|报警人|联系人|身份证|电话)", text)
