"""One row at a time: what is found in it, and what it is after replacing. Knows no files and no other rows, so that rows go to any process.

The same key, kind and value give the same pseudonym, wherever they stand; so the same person has the same name in the whole dataset.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

import msgspec

from appliance.domain.document import Document
from appliance.domain.recipe import RedactionRecipe
from appliance.domain.redaction import Choice
from appliance.domain.row import Row
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Anchors, Find, Text
from appliance.stages.redact.rules import RULE_OF, RULES, name
from appliance.stages.redact.rules.rule import Rule

Chosen = Mapping[tuple[str, str], Choice]
"""(kind, value) → what a person decided."""

Known = dict[str, tuple[Text, list[Find]]]
"""Texts of a row that were read, and what the rules find in them."""

_ROUNDS = 3
"""How often a text is looked at again after something in it was replaced."""
_BORDER = 40
"""Characters on both sides of a border between messages that are read together."""
_ACROSS = ("id_number", "bank_card", "mobile")
"""Kinds that are long enough to be cut in two."""
_REMEMBERED = 1 << 16
"""Pseudonyms that are not worked out again."""


class Seen(msgspec.Struct, frozen=True):
    """A find with its part of the row and what became of it."""

    part: int
    find: Find
    fate: str
    """``replaced``, ``kept`` by decision, ``open`` until there is one, ``left`` though it should not be."""


class Redactor:
    """Finds and replaces by one recipe, one key and one set of decisions."""

    def __init__(self, recipe: RedactionRecipe, key: bytes, chosen: Chosen) -> None:
        self._recipe = recipe
        self._chosen = chosen
        left_out = set(recipe.leave.split(","))
        self._rules = tuple(rule for rule in RULES if rule.kind not in left_out)
        self._anchors = Anchors(rule.anchors for rule in self._rules)
        self._always_asked = sum(1 << bit for bit, rule in enumerate(self._rules) if not rule.starts)
        """The rules that are asked of any text, as the bits of a number: sets of them are joined in no time."""
        starts = frozenset[str]().union(*(rule.starts for rule in self._rules))
        self._asked_by = {group: sum(1 << bit for bit, rule in enumerate(self._rules) if group in rule.starts) for group in starts}
        """Group that a text may have → the rules that are asked then."""
        self._weight = {rule.kind: place for place, rule in enumerate(RULES)}
        self._pseudonym = lru_cache(_REMEMBERED)(lambda kind, value: RULE_OF[kind].replace(value, Draw(key, kind, value), recipe))

    def finds(self, row: Row) -> list[tuple[int, Find]]:
        """Everything that is found in a row, with its part, in the order of the text."""
        return [(part, find) for part, finds in enumerate(self._finds(parts_of(row), {})) for find in finds]

    def check(self, row: Row) -> list[Seen]:
        """Everything that is found, ``open`` unless a person has decided to keep it."""
        keeps = self._chosen
        return [Seen(part, find, "kept" if keeps.get((find.kind, find.value)) == "keep" else "open") for part, find in self.finds(row)]

    def redact(self, row: Row) -> tuple[Row, list[Seen]]:
        """The row with pseudonyms, and what was found; the very same row if nothing was replaced."""
        before = parts = parts_of(row)
        seen: list[Seen] = []
        known: Known = {}
        for turn in range(_ROUNDS):
            found = self._finds(parts, known)
            if turn == 0:
                seen += self._judged(found, "open")
            elif not any(self._replaces(find) for finds in found for find in finds):
                break
            changed = self._replaced(parts, found)
            if changed == parts:
                break
            parts = changed
        else:
            again = enumerate(self._finds(parts, known))
            seen += [Seen(part, find, "left") for part, finds in again for find in finds if self._replaces(find)]
        if parts == before:
            return row, seen
        return with_parts(row, parts), seen

    def _judged(self, found: Sequence[Sequence[Find]], otherwise: str) -> Iterator[Seen]:
        for part, finds in enumerate(found):
            for find in finds:
                if self._chosen.get((find.kind, find.value)) == "keep":
                    yield Seen(part, find, "kept")
                else:
                    yield Seen(part, find, "replaced" if self._replaces(find) else otherwise)

    def _replaces(self, find: Find) -> bool:
        chosen = self._chosen.get((find.kind, find.value))
        return chosen == "replace" or (chosen is None and (find.sure or self._recipe.uncertain == "replace"))

    def _finds(self, parts: Sequence[str], known: Known) -> list[list[Find]]:
        """What is found in each part; parts that were read already are not read again."""
        for part in parts:
            if part not in known:
                known[part] = self._read(part)
        texts = [known[part][0] for part in parts]
        found = [list(known[part][1]) for part in parts]
        names = frozenset(find.value for finds in found for find in finds if find.kind == "name" and find.sure)
        if names:
            for text, finds in zip(texts, found, strict=True):
                finds.extend(name.again(text, names))
        apart = [self._apart(finds) for finds in found]
        for place in range(len(texts) - 1):
            self._add_across(texts[place], texts[place + 1], apart[place], apart[place + 1])
        return apart

    def _read(self, part: str) -> tuple[Text, list[Find]]:
        """A text, and what each rule finds in it by itself."""
        text = Text(part, self._anchors)
        finds: list[Find] = []
        asked = self._always_asked
        for group in text.groups:
            asked |= self._asked_by.get(group, 0)
        for bit, rule in enumerate(self._rules):
            if asked >> bit & 1:
                finds.extend(rule.find(text, self._recipe))
        return text, finds

    def _apart(self, finds: Iterable[Find]) -> list[Find]:
        """Finds that do not overlap: the surer, longer and weightier win."""
        ordered = sorted(finds, key=lambda find: (not find.sure, find.start - find.end, self._weight[find.kind], find.start))
        if len(ordered) < 2:
            return ordered
        taken: list[Find] = []
        starts: list[int] = []
        for find in ordered:
            place = bisect_left(starts, find.start)
            after_left = not place or taken[place - 1].end <= find.start
            if after_left and (place == len(starts) or find.end <= starts[place]):
                taken.insert(place, find)
                starts.insert(place, find.start)
        return taken

    def _add_across(self, left: Text, right: Text, left_finds: list[Find], right_finds: list[Find]) -> None:
        """Numbers of which one message has the beginning and the next one the end."""
        tail, head = left.folded[-_BORDER:].rstrip(), right.folded[:_BORDER].lstrip()
        if not (tail and head and _is_numeral(tail[-1]) and _is_numeral(head[0])):
            return
        offset, skipped = len(left.folded[-_BORDER:]) - len(tail), len(right.folded[:_BORDER]) - len(head)
        joined = Text(tail + head, self._anchors)
        for rule in self._rules:
            for find in rule.find(joined, self._recipe) if rule.kind in _ACROSS else ():
                if not find.start < len(tail) < find.end:
                    continue
                begin = len(left.folded) - offset - len(tail) + find.start
                end = find.end - len(tail) + skipped
                free = all(other.end <= begin for other in left_finds) and all(other.start >= end for other in right_finds)
                if free:
                    cut = sum(_is_numeral(char) for char in tail[find.start :])
                    left_finds.append(Find(find.kind, begin, len(left.folded) - offset, f"{find.value}<{cut}", find.sure))
                    right_finds.insert(0, Find(find.kind, skipped, end, f"{find.value}>{cut}", find.sure))
                    return

    def _replaced(self, parts: Sequence[str], found: Sequence[Sequence[Find]]) -> list[str]:
        return [self._replaced_in(part, finds) for part, finds in zip(parts, found, strict=True)]

    def _replaced_in(self, part: str, finds: Sequence[Find]) -> str:
        pieces, place = [], 0
        for find in finds:
            if self._replaces(find):
                pieces += [part[place : find.start], self._instead(find)]
                place = find.end
        return "".join([*pieces, part[place:]])

    def _instead(self, find: Find) -> str:
        for sign in "<>" if find.kind in _ACROSS else "":
            value, cut, digits = find.value.partition(sign)
            if cut:
                whole = str(self._pseudonym(find.kind, value))
                return whole[: int(digits)] if sign == "<" else whole[int(digits) :]
        return str(self._pseudonym(find.kind, find.value))


def masked(find: Find) -> str:
    """A find as reports show it: stars, but for what its rule leaves readable."""
    value = find.value.partition("<")[0].partition(">")[0]
    head, tail = shown if len(value) > sum(shown := _rule(find).shown) + 1 else (0, 0)
    return value[:head] + "*" * min(12, len(value) - head - tail) + value[len(value) - tail :]


def parts_of(row: Row) -> list[str]:
    """The texts of a row: its messages, then the rejected answer if there is one."""
    if isinstance(row, Document):
        return [row.text]
    contents = [message.content for message in row.messages]
    return [*contents, row.rejected] if row.rejected else contents


def with_parts(row: Row, parts: Sequence[str]) -> Row:
    """The row with other texts, everything else as it was."""
    if isinstance(row, Document):
        return msgspec.structs.replace(row, text=parts[0])
    messages = tuple(msgspec.structs.replace(message, content=part) for message, part in zip(row.messages, parts, strict=False))
    return msgspec.structs.replace(row, messages=messages, rejected=parts[-1] if row.rejected else "")


def _rule(find: Find) -> Rule:
    return RULE_OF[find.kind]


def _is_numeral(char: str) -> bool:
    return char.isdigit() or char in "〇零一二三四五六七八九幺洞拐两Xx"
