"""Accident records: cause, responsibility and summary, each asked only of records that have it.

Names and number plates stay as they are in the file; replacing them is the work of redaction, which comes later.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.stages.ingest.tables import Table
from appliance.stages.ingest.traffic import headings, record_text
from appliance.stages.ingest.traffic.wording import chosen, row

FIELDS: headings.Fields = {
    "time": ("事故时间", "事故发生时间", "发生时间", "事发时间", "事故日期", "时间", "日期", "time", "date"),
    "place": ("事故地点", "事故发生地点", "发生地点", "事发地点", "事故地址", "路段", "地点", "地址", "location", "place"),
    "type": ("事故类型", "事故形态", "事故类别", "碰撞类型", "事故种类", "类型", "type"),
    "description": (
        "事故描述", "事故经过", "事故概况", "事故事实", "事故基本事实", "道路交通事故基本事实", "基本事实", "事故详情", "简要案情",
        "案情", "经过", "描述", "description", "narrative",
    ),
    "cause": (
        "事故原因", "事故成因", "事故成因分析", "事故形成原因", "形成原因", "成因分析", "主要原因", "认定原因", "原因", "成因", "cause",
    ),
    "responsibility": (
        "责任认定", "事故责任", "事故责任认定", "责任划分", "责任认定结果", "认定结果", "当事人责任", "责任情况", "责任",
        "responsibility", "liability",
    ),
    "summary": ("事故摘要", "摘要", "事故简述", "summary"),
    "weather": ("天气", "天气情况", "weather"),
    "road": ("道路类型", "路面情况", "路面状况", "道路情况", "road"),
    "casualties": ("伤亡情况", "人员伤亡", "伤亡", "死伤情况", "casualties"),
    "law": ("法律依据", "认定依据", "依据", "违法依据"),
}  # fmt: skip
"""Field → headings that mean it."""

LABELS = {
    "time": "事故时间", "place": "事故地点", "type": "事故类型", "weather": "天气", "road": "道路情况", "description": "事故经过",
    "casualties": "伤亡情况", "cause": "事故原因", "responsibility": "责任认定", "law": "法律依据",
}  # fmt: skip
"""What rows call a field, in the order in which a record is shown."""

TELLING = ("事故", "责任", "碰撞", "accident", "liability")
"""One of these in a heading tells accidents from other tables with causes and descriptions."""

CAUSE = ("这起事故的原因是什么？", "请分析下面这起交通事故的成因。", "根据事故经过，说明事故原因。", "下面的事故是怎样造成的？")
RESPONSIBILITY = (
    "这起事故的责任如何认定？",
    "请给出下面事故的责任划分。",
    "根据事故经过，各方应承担什么责任？",
    "请说明这起交通事故的责任认定意见。",
)
SUMMARISE = ("请概括这起交通事故。", "为下面的事故写一份简短摘要。", "把这份事故记录概括成一段话。", "用几句话说明这起事故的情况。")


def is_accident_table(columns: Sequence[str], asked: headings.Asked) -> bool:
    """Whether these headings are those of accidents: what happened, with a cause or a responsibility, or named as an accident."""
    fields = headings.places_of(columns, FIELDS, asked)
    if "description" not in fields:
        return False
    is_telling = any(sign in headings.bare(column) for column in columns for sign in TELLING)
    others = fields.keys() - {"description"}
    return is_telling and (bool({"cause", "responsibility"} & others) or ("事故" in columns[fields["description"]] and len(others) >= 2))


def rows_of(table: Table, asked: headings.Asked) -> Iterator[Conversation | Rejected]:
    """The rows of every record."""
    return record_text.rows_of(table, asked, FIELDS, _rows_of)


def _rows_of(record: Mapping[str, str], source: str) -> Iterator[Conversation]:
    known = record_text.class_of(record)
    if "cause" in record:
        yield _asked("accident_cause", CAUSE, record, ("cause", "responsibility", "law"), record["cause"], source, known)
    if "responsibility" in record:
        answer = record["responsibility"]
        if "law" in record:
            answer = f"{record_text.sentence(answer)}依据：{record_text.sentence(record['law'])}"
        yield _asked("accident_responsibility", RESPONSIBILITY, record, ("responsibility", "law"), answer, source, known)
    summary = record.get("summary") or _summary(record)
    if summary:
        yield _asked("accident_summary", SUMMARISE, record, (), summary, source, known)


def _asked(
    task: str,
    wordings: tuple[str, ...],
    record: Mapping[str, str],
    hidden: tuple[str, ...],
    answer: str,
    source: str,
    known: Mapping[str, str],
) -> Conversation:
    """A question over the record without the fields that would give the answer away."""
    seen = {field: text for field, text in record.items() if field not in hidden}
    return row(f"{chosen(wordings, task, *record.values())}\n\n{record_text.listed(seen, LABELS)}", answer, source, {"task": task, **known})


def _summary(record: Mapping[str, str]) -> str:
    """When, where, what kind, why and whose, as far as it is there; empty unless there is more than the place and the time."""
    begin = "，".join(filter(None, (record_text.moment(record.get("time", "")), record.get("place", ""))))
    if not begin or not record.keys() & {"type", "cause", "responsibility"}:
        return ""
    parts = [f"{begin}发生一起{record.get('type', '交通').removesuffix('事故')}事故。"]
    for field, label in (("casualties", "伤亡情况"), ("cause", "原因"), ("responsibility", "责任认定")):
        if field in record:
            parts.append(f"{label}：{record_text.sentence(record[field])}")
    return "".join(parts)


def has_description(columns: Sequence[str], asked: headings.Asked) -> bool:
    """What is enough when somebody says that these are accidents."""
    return "description" in headings.places_of(columns, FIELDS, asked)
