"""Records of the 122 alarm service: summaries, classification, structured extraction.

Names and telephone numbers stay as they are in the file; replacing them is the work of redaction, which comes later.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.stages.ingest.tables import Table
from appliance.stages.ingest.traffic import headings, record_text
from appliance.stages.ingest.traffic.accidents import is_accident_table
from appliance.stages.ingest.traffic.wording import chosen, row

FIELDS: headings.Fields = {
    "time": (
        "报警时间", "接警时间", "警情时间", "接报时间", "报案时间", "接报警时间", "报警日期", "发生时间", "事发时间", "案发时间",
        "时间", "alarm time", "time",
    ),
    "place": (
        "报警地点", "警情地点", "警情地址", "事发地点", "事发地址", "案发地点", "案发地址", "发生地点", "发生地址", "事故地点",
        "报警地址", "详细地址", "地点", "地址", "位置", "location", "place", "address",
    ),
    "type": (
        "警情类型", "警情类别", "警情类别名称", "警情性质", "报警类型", "报警类别", "警情分类", "案件类型", "案由", "事件类型", "类型",
        "类别", "type", "category",
    ),
    "description": (
        "警情内容", "报警内容", "警情描述", "报警描述", "简要警情", "简要案情", "警情详情", "警情概况", "接警内容", "接报内容",
        "事件描述", "案情", "描述", "内容", "description", "content",
    ),
    "disposal": (
        "处置情况", "处警情况", "处置结果", "处警结果", "处理结果", "处理情况", "出警情况", "处警反馈", "反馈内容", "反馈情况",
        "处警意见", "处置", "disposal", "handling", "result",
    ),
    "summary": ("警情摘要", "警情标题", "摘要", "summary"),
    "unit": ("处警单位", "出警单位", "处警部门", "管辖单位", "unit"),
    "caller": ("报警人", "报警人姓名", "caller"),
    "phone": ("报警电话", "报警人电话", "联系电话", "报警人联系电话", "phone"),
    "vehicles": ("涉及车辆", "涉案车辆", "号牌号码", "车牌号", "车牌号码", "车牌", "vehicles"),
    "casualties": ("伤亡情况", "人员伤亡", "伤亡", "casualties"),
}  # fmt: skip
"""Field → headings that mean it."""

LABELS = {
    "time": "报警时间", "place": "地点", "type": "警情类型", "caller": "报警人", "phone": "联系电话", "description": "警情内容",
    "vehicles": "涉及车辆",
    "casualties": "伤亡情况", "unit": "处警单位", "disposal": "处置情况",
}  # fmt: skip
"""What rows call a field, in the order in which a record is shown."""

TELLING = ("122", "报警", "接警", "警情", "处警", "出警", "接报", "alarm", "caller")
"""One of these in a heading tells alarm records from other tables."""
LONGEST_SENTENCE = 120
"""Characters: a first sentence that is longer is no summary, and shortening it would be writing a new one."""

SUMMARISE = (
    "请用一两句话概括这起122警情。",
    "把下面的警情记录写成简报用的一句话摘要。",
    "概括以下接处警记录。",
    "请为这条警情写摘要：时间、地点、事由、处置。",
)
CLASSIFY = (
    "这起警情属于什么类型？只回答类型名称。",
    "请判断下面报警内容的警情类型。",
    "根据报警内容填写警情类型。",
    "下面的警情应归为哪一类？",
)
EXTRACT = (
    "请从下面的警情中提取{fields}，以 JSON 输出。",
    "把这段接警记录结构化为 JSON，字段为：{fields}。",
    "阅读警情，输出一个 JSON 对象，键为{fields}，值照抄原文。",
)


def is_alarm_table(columns: Sequence[str], asked: headings.Asked) -> bool:
    """Whether these headings are those of alarm records, and not of accidents that were investigated."""
    fields = headings.places_of(columns, FIELDS, asked)
    facts = fields.keys() & {"time", "place", "type", "disposal"}
    is_telling = any(sign in headings.bare(column) for column in columns for sign in TELLING)
    return "description" in fields and len(facts) >= 2 and is_telling and not is_accident_table(columns, asked)


def rows_of(table: Table, asked: headings.Asked) -> Iterator[Conversation | Rejected]:
    """The rows of every record."""
    return record_text.rows_of(table, asked, FIELDS, _rows_of)


def _rows_of(record: Mapping[str, str], source: str) -> Iterator[Conversation]:
    known = record_text.class_of(record)
    summary = record.get("summary") or _summary(record)
    if summary:
        question = f"{chosen(SUMMARISE, 'summary', *record.values())}\n\n{record_text.listed(record, LABELS)}"
        yield row(question, summary, source, {"task": "alarm_summary", **known})
    if known:
        question = f"{chosen(CLASSIFY, 'class', *record.values())}\n\n{record['description']}"
        yield row(question, record["type"], source, {"task": "alarm_classification", **known})
    if record.keys() & {"time", "place", "type", "disposal"}:
        yield _extraction(record, source, known)


def _summary(record: Mapping[str, str]) -> str:
    """When, where, what, and what was done, as far as it is there; empty when there is too little for a summary."""
    about = record_text.first_sentence(record["description"])
    about = about if len(about) <= LONGEST_SENTENCE else ""
    begin = "，".join(filter(None, (record_text.moment(record.get("time", "")), record.get("place", ""))))
    kind = f"{begin}{'发生' if begin else ''}警情（{record['type']}）。" if "type" in record else f"{begin}。" if begin else ""
    if not kind or not (about or "type" in record):
        return ""
    done = record_text.first_sentence(record.get("disposal", ""))
    parts = [kind, record_text.sentence(about) if about else ""]
    if done and len(done) <= LONGEST_SENTENCE:
        parts.append(f"处置：{record_text.sentence(done)}")
    return "".join(parts)


def _extraction(record: Mapping[str, str], source: str, known: Mapping[str, str]) -> Conversation:
    """Every value of the answer stands in the question, letter by letter."""
    wanted = {LABELS[field]: record[field] for field in LABELS if field in record and field != "description"}
    text = chosen((_narrated, _reported, _noted), "narrated", *record.values())(record)
    asked = chosen(EXTRACT, "extract", *record.values()).format(fields="、".join(wanted))
    answer = json.dumps(wanted, ensure_ascii=False)
    return row(f"{asked}\n\n{text}", answer, source, {"task": "alarm_extraction", **known})


def _narrated(record: Mapping[str, str]) -> str:
    phone = f"（电话 {record['phone']}）" if "phone" in record else ""
    begin = "，".join(filter(None, (record.get("time"), f"{record.get('caller', '群众')}{phone}报警称")))
    return f"{begin}：{record_text.sentence(record['description'])}" + _rest(
        record, ("place", "type", "vehicles", "casualties", "unit", "disposal")
    )


def _reported(record: Mapping[str, str]) -> str:
    begin = f"122指挥中心{record['time']}接警" if "time" in record else "122指挥中心接警"
    where = f"，地点为{record['place']}" if "place" in record else ""
    rest = _rest(record, ("type", "caller", "phone", "vehicles", "casualties", "unit", "disposal"))
    return f"{begin}{where}。{record_text.sentence(record['description'])}{rest}"


def _noted(record: Mapping[str, str]) -> str:
    return record_text.listed(record, LABELS)


def _rest(record: Mapping[str, str], fields: tuple[str, ...]) -> str:
    return "".join(f"{LABELS[field]}：{record_text.sentence(record[field])}" for field in fields if field in record)


def has_description(columns: Sequence[str], asked: headings.Asked) -> bool:
    """What is enough when somebody says that these are alarms."""
    return "description" in headings.places_of(columns, FIELDS, asked)
