"""What the readers of SUMO's elements share: attributes as exact figures, and samples that depend on content alone."""

from __future__ import annotations

import heapq
import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Generic, Protocol, TypeVar

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected, printable
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.traffic.sumo.xml_stream import Element
from appliance.stages.ingest.traffic.wording import number

LARGEST = Decimal(10) ** 15
"""No figure of a simulation comes near."""
LONGEST = 30
"""Characters of a figure, so that sums of decimals stay exact."""

_CLOCK = re.compile(r"(?:(\d+):)?(\d+):(\d\d):(\d\d(?:\.\d+)?)")

Made = Iterable[Conversation | Rejected]


class Reader(Protocol):
    """Takes the elements of one kind of file as they come."""

    def begin(self, element: Element) -> None:
        """A start tag; raises Refused for one that cannot be read."""

    def end(self, element: Element) -> Made:
        """An end tag, and the rows that are made with it; raises Refused."""

    def finish(self) -> Made:
        """The rows of the whole, once the file has been read to its end."""


def text(element: Element, attribute: str) -> str:
    """An attribute, safe to show. Raises Refused where it is missing."""
    if attribute not in element.attributes:
        raise Refused("sumo_attribute_missing", element=element.name, attribute=attribute)
    return printable(element.attributes[attribute], 80)


def figure(element: Element, attribute: str) -> Decimal:
    """An attribute as the exact number that was written; ``1:02:03`` is a time in seconds. Raises Refused for anything else."""
    given = element.attributes.get(attribute)
    if given is None:
        raise Refused("sumo_attribute_missing", element=element.name, attribute=attribute)
    try:
        value = Decimal(given) if len(given) <= LONGEST else LARGEST
    except InvalidOperation:
        value = _clock(given)
    if not value.is_finite() or abs(value) >= LARGEST:
        raise _wrong(element, attribute)
    return value


def positive(element: Element, attribute: str) -> Decimal:
    """A figure that cannot be below 0."""
    value = figure(element, attribute)
    if value < 0:
        raise _wrong(element, attribute)
    return value


def count(element: Element, attribute: str) -> int:
    """A figure that counts things."""
    value = positive(element, attribute)
    if value != int(value):
        raise _wrong(element, attribute)
    return int(value)


def _clock(written: str) -> Decimal:
    clock = _CLOCK.fullmatch(written)
    if clock is None:
        return LARGEST
    days, hours, minutes, seconds = (Decimal(part or 0) for part in clock.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def _wrong(element: Element, attribute: str) -> Refused:
    return Refused("sumo_attribute_wrong", element=element.name, attribute=attribute, value=text(element, attribute))


Item = TypeVar("Item")


class Sample(Generic[Item]):
    """A few of many, chosen by the hash of their key: the same file gives the same ones, and no place in it is favoured."""

    def __init__(self, size: int, about: str) -> None:
        self._size = size
        self._about = about
        self._kept: list[tuple[int, int, Item]] = []
        self._count = 0

    def add(self, key: str, item: Item) -> None:
        """Offer one; at most ``size`` are kept."""
        self._count += 1
        # The order of arrival decides between equal keys; items are never compared.
        entry = (-number(self._about, key), -self._count, item)
        if len(self._kept) < self._size:
            heapq.heappush(self._kept, entry)
        elif entry[:2] > self._kept[0][:2]:
            heapq.heapreplace(self._kept, entry)

    def __iter__(self) -> Iterator[Item]:
        """In the order of arrival."""
        return (item for _, _, item in sorted(self._kept, key=lambda entry: -entry[1]))

    def __len__(self) -> int:
        return len(self._kept)
