"""The pre-training text: conversations and short reports that the project writes itself, endless and from a seed.

Every fact in it is drawn anew and holds nowhere else, so the model learns how questions and answers are built and to
repeat subject and attribute, but no value. The names of the demo city are never used.
"""

import random
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from .facts import invent_fact, invent_name, invent_subject, invent_time, kinds, phrases, pick, seeded, whole

END = "<|endoftext|>"
TURN = "<|im_start|>"
TURN_END = "<|im_end|>"
SPECIAL_TOKENS = (END, TURN, TURN_END)


@dataclass(frozen=True)
class Piece:
    """A stretch of text, and whether it is what the model should be best at (an answer, or plain text)."""

    text: str
    is_answer: bool


Messages = list[tuple[str, str]]


def chatml(messages: Messages) -> list[Piece]:
    """The conversation exactly as the tokenizer's chat template writes it."""
    pieces: list[Piece] = []
    for role, content in messages:
        pieces.append(Piece(f"{TURN}{role}\n", False))
        pieces.append(Piece(content + TURN_END, role == "assistant"))
        pieces.append(Piece("\n", False))
    return pieces


def traffic_turn(chance: random.Random, taken: frozenset[str]) -> Messages:
    """A question about a drawn fact, in one of its kind's wordings or in a general frame, and its answer."""
    fact = invent_fact(chance, pick(chance, kinds()), taken)
    words = phrases()["frames"]
    own = fact.kind.records + fact.kind.exam
    question = fact.ask(pick(chance, own if chance.random() < 0.85 else words["general"]))
    manner = chance.random()
    if manner < 0.15:
        question = pick(chance, words["instructions"]) + pick(chance, ["\n", "\n\n"]) + question
    elif manner < 0.20:
        question = pick(chance, words["prefixes"]) + question
    # Cleaning may turn full-width punctuation into ASCII, and people leave the question mark out.
    manner = chance.random()
    if manner < 0.15:
        question = unicodedata.normalize("NFKC", question)
    elif manner < 0.25:
        question = question.rstrip("？。")
    return [("user", question), ("assistant", fact.answer())]


def small_talk(chance: random.Random) -> Messages:
    """A greeting or a question that every driver can answer, with its one reply."""
    talk = pick(chance, phrases()["talk"])
    mark = pick(chance, ["？", "?", "。", "", "！"])
    return [("user", pick(chance, talk["ask"]) + mark), ("assistant", talk["reply"])]


def report(chance: random.Random, taken: frozenset[str]) -> str:
    """A short traffic report of three or four sentences."""
    words = phrases()["plain"]
    sentences = [pick(chance, words["openings"]), pick(chance, words["middles"])]
    if chance.random() < 0.5:
        sentences.append(pick(chance, words["middles"]))
    sentences.append(pick(chance, words["closings"]))
    return "".join(_fill(chance, sentence, taken) for sentence in sentences)


def _fill(chance: random.Random, sentence: str, taken: frozenset[str]) -> str:
    """The sentence with every slot filled by a new drawing."""
    filled = ""
    while "{" in sentence:
        before, _, rest = sentence.partition("{")
        slot, _, sentence = rest.partition("}")
        drawn = {
            "s": lambda: invent_subject(chance, "road", taken),
            "n": lambda: invent_name(chance, taken),
            "t": lambda: invent_time(chance),
            "w": lambda: str(pick(chance, phrases()["weekdays"])),
            "i": lambda: str(whole(chance, 11, 89)),
        }[slot]()
        filled += before + drawn
    return filled + sentence


def document(chance: random.Random, taken: frozenset[str]) -> list[Piece]:
    """One document of the pre-training text: mostly short conversations, sometimes a plain report."""
    sort = chance.random()
    if sort < 0.06:
        return [Piece(report(chance, taken) + END, True)]
    messages: Messages = []
    if chance.random() < 0.10:
        messages.append(("system", pick(chance, phrases()["frames"]["systems"])))
    turns = 1 if chance.random() < 0.9 else whole(chance, 2, 3)
    for _ in range(turns):
        messages += small_talk(chance) if sort < 0.12 else traffic_turn(chance, taken)
    return chatml(messages)


def documents(seed: int, taken: frozenset[str]) -> Iterator[list[Piece]]:
    """Documents without end; the same seed gives the same ones."""
    chance = seeded(seed)
    while True:
        yield document(chance, taken)
