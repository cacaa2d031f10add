"""Alarm and accident records: whether a cell's text is whole, when something happened, and how it is written out."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected, printable
from appliance.stages.ingest.refusal import Refused, rejected
from appliance.stages.ingest.tables import Table, TableRow
from appliance.stages.ingest.traffic import headings

LONGEST = 20_000
"""Characters of one cell: more is a document, not a record."""

LONGEST_CLASS = 40
"""Characters of a type that rows can be sorted by."""

_EMPTY = frozenset({"", "-", "--", "—", "——", "/", "\\", "无", "null", "none", "nan", "n/a", "#n/a"})
_GARBLED = re.compile("\ufffd|锟斤拷|烫烫烫|屯屯屯|[\ue000-\uf8ff]|[\u0080-\u00b6\u00b8-\u00ff]{3}")
"""What text looks like that was once read in a wrong encoding: replacement characters and what they become in GBK, private-use characters,
runs of letters and signs of Latin-1 (the middle dot is at home in Chinese)."""

_DATE = r"(?P<year>\d{4})\s*[-/.年]\s*(?P<month>\d{1,2})\s*[-/.月]\s*(?P<day>\d{1,2})\s*日?"
_CLOCK = r"(?P<hour>\d{1,2})\s*[:时点]\s*(?:(?P<minute>\d{1,2})\s*[:分]?\s*(?:(?P<second>\d{1,2})(?:\.\d+)?\s*秒?)?)?"
_MOMENT = re.compile(rf"{_DATE}(?:[\sT]*{_CLOCK})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_DIGITS = re.compile(r"(?P<year>\d{4})(?P<month>\d\d)(?P<day>\d\d)(?:(?P<hour>\d\d)(?P<minute>\d\d)(?P<second>\d\d)?)?", re.ASCII)


def cell(text: str, heading: str) -> str:
    """The cell without white space around it; an empty text for what stands for nothing. Raises Refused for garbled or endless text."""
    found = text.strip()
    if found.casefold() in _EMPTY:
        return ""
    if len(found) > LONGEST:
        raise Refused("record_field_too_long", field=heading, limit=LONGEST)
    if _GARBLED.search(found):
        raise Refused("record_text_garbled", field=heading)
    return found


def moment(text: str, heading: str = "") -> str:
    """A time as it is written out, ``2024年3月5日8时20分``: to the minute, or as far as it was given; an empty text for none.

    Raises Refused for what is no date that exists.
    """
    if not text:
        return ""
    given = unicodedata.normalize("NFKC", text).strip()
    match = _MOMENT.fullmatch(given) or _DIGITS.fullmatch(given)
    parts = {name: int(value) for name, value in match.groupdict().items() if value} if match else {}
    try:
        dt.datetime(**parts)  # type: ignore[arg-type]  # noqa: DTZ001  # only asked whether the date exists; the parts are its names
    except (TypeError, ValueError):
        raise Refused("record_time_unreadable", field=heading, value=printable(text, 40)) from None
    written = f"{parts['year']}年{parts['month']}月{parts['day']}日"
    if "hour" in parts:
        written += f"{parts['hour']}时" + (f"{parts['minute']}分" if "minute" in parts else "")
    return written


def fields_of(row: TableRow, places: Mapping[str, int], columns: Sequence[str]) -> dict[str, str]:
    """What a record says, by field; empty cells are left out. Raises Refused for a cell that cannot be believed.

    Of casualties 无 is a statement; elsewhere it stands for nothing.
    """
    found = {}
    for field, place in places.items():
        heading, given = printable(columns[place], 40), row.cells[place].strip()
        text = given if field == "casualties" and given == "无" else cell(given, heading)
        if text:
            found[field] = text
        if field == "time":
            moment(text, heading)
    return found


def listed(record: Mapping[str, str], labels: Mapping[str, str]) -> str:
    """The record as lines of label and value, in the labels' order."""
    return "\n".join(f"{label}：{record[field]}" for field, label in labels.items() if field in record)


def rows_of(
    table: Table, asked: headings.Asked, fields: headings.Fields, make: Callable[[dict[str, str], str], Iterator[Conversation]]
) -> Iterator[Conversation | Rejected]:
    """What ``make`` makes of every record that has a description; one that cannot be believed gives a refused row and nothing else."""
    places = headings.places_of(table.columns, fields, asked)
    for found in table.rows:
        if isinstance(found, Rejected):
            yield found
            continue
        try:
            record = fields_of(found, places, table.columns)
            if "description" not in record:
                raise Refused("record_without_description")
            made = list(make(record, found.place))
            if not made:
                raise Refused("record_without_facts")
        except Refused as verdict:
            yield refuse(verdict, found)
        else:
            yield from made


def refuse(verdict: Refused, row: TableRow) -> Rejected:
    """The record of a row that is not accepted."""
    return rejected(verdict, row.number, 0, " ".join(filter(None, row.cells)).encode("utf-8", "surrogatepass"))


def class_of(record: Mapping[str, str]) -> dict[str, str]:
    """The label of a record that has a type; a type of many words is a description and no class."""
    return {"class": record["type"]} if "type" in record and len(record["type"]) <= LONGEST_CLASS else {}


def sentence(text: str) -> str:
    """The text with a full stop at its end."""
    return text if text.endswith(("。", "！", "？", "!", "?", ".", "；")) else f"{text}。"


def first_sentence(text: str) -> str:
    """Up to the first full stop or line break."""
    return re.split(r"(?<=[。！？!?])|\n", text.strip(), maxsplit=1)[0].strip()
