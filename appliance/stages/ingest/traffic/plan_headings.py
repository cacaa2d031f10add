"""The columns of signal plan tables: a row per phase, or a row per plan with columns for each phase."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from appliance.stages.ingest.traffic import headings

PLAN_FIELDS: headings.Fields = {
    "intersection": (
        "路口名称",
        "路口",
        "交叉口名称",
        "交叉口",
        "信号机名称",
        "路口编号",
        "信号机编号",
        "intersection",
        "junction",
        "node",
    ),
    "plan": ("方案名称", "方案", "方案号", "方案编号", "配时方案", "时段名称", "时段", "控制时段", "plan", "period"),
    "cycle": ("周期", "周期时长", "信号周期", "周期时间", "周期长", "周期秒", "cycle", "cyclelength", "cycletime"),
    "offset": ("相位差", "协调相位差", "绝对相位差", "offset"),
}
"""What is said of a whole plan."""

PHASE_FIELDS: headings.Fields = {
    "saturation_flow": ("饱和流量", "饱和流率", "饱和流", "saturationflow", "satflow"),
    "minimum_green": ("最小绿灯时间", "最小绿灯", "最短绿灯时间", "最短绿灯", "最小绿", "mingreen", "minimumgreen", "minimumgreentime"),
    "all_red": ("全红时间", "全红灯时间", "全红", "红灯清空", "清空红灯", "allred", "allredtime", "redclearance", "ar"),
    "yellow": ("黄灯时间", "黄灯时长", "黄灯", "黄", "yellow", "yellowtime", "amber"),
    "red": ("红灯时间", "红灯时长", "红灯", "red", "redtime"),
    "green": ("绿灯时间", "绿灯时长", "绿灯", "绿", "green", "greentime"),
    "flow": ("关键流量", "高峰小时流量", "设计流量", "交通流量", "交通量", "车流量", "流量", "volume", "flow", "demand"),
}
"""What is said of a phase; of two names that end a heading the longer one counts, so ``最小绿灯`` is no ``绿灯``."""

NAME_FIELDS: headings.Fields = {
    "phase": ("相位名称", "相位", "相位号", "相位编号", "阶段名称", "阶段", "阶段号", "phase", "phasename", "stage"),
    "movement": ("放行方向", "流向", "放行流向", "方向", "放行内容", "movement", "direction"),
}
"""What names a phase in a table with a row per phase."""

REQUIRED = ("green", "yellow")
"""Times without which nothing is a phase."""
FEWEST_PHASES = 2

_UNIT = re.compile(r"(?:秒|s|sec|pcuh|pcuph|vehh)$")
_NAMES = sorted(((headings.bare(name), field) for field, names in PHASE_FIELDS.items() for name in names), key=lambda pair: -len(pair[0]))
_CONNECTOR = re.compile(r"^(?:的|phase$)|的$")


class LongForm(NamedTuple):
    """A row per phase: places of the columns."""

    fields: dict[str, int]


class WideForm(NamedTuple):
    """A row per plan: places of the columns that belong to the plan, and for each phase those that belong to it."""

    fields: dict[str, int]
    phases: dict[str, dict[str, int]]


Form = LongForm | WideForm


def form_of(columns: Sequence[str], asked: headings.Asked) -> Form | None:
    """How a table with these headings holds signal plans; None when it does not."""
    fields = headings.places_of(columns, PLAN_FIELDS, asked)
    if "intersection" not in fields:
        return None
    long = _of_phases(columns, asked)
    if all(field in long for field in REQUIRED) and {"phase", "movement"} & long.keys():
        return LongForm({**long, **fields})
    wide = _wide(columns, set(fields.values()))
    return WideForm(fields, wide) if len(wide) >= FEWEST_PHASES else None


def is_plan_table(columns: Sequence[str], asked: headings.Asked) -> bool:
    """Whether these headings are those of signal plans."""
    return form_of(columns, asked) is not None


def _of_phases(columns: Sequence[str], asked: headings.Asked) -> dict[str, int]:
    fields = {**PHASE_FIELDS, **NAME_FIELDS}
    guessed = headings.places_of([_without_unit(column) for column in columns], fields, {})
    return {**guessed, **headings.places_of(columns, dict.fromkeys(fields, ()), asked)}


def _wide(columns: Sequence[str], taken: set[int]) -> dict[str, dict[str, int]]:
    """Phase → field → place, for headings such as ``相位1绿灯`` or ``P2_green``; only phases with a green and a yellow."""
    found: dict[str, dict[str, int]] = {}
    for place, column in enumerate(columns):
        name = _without_unit(column)
        if place in taken or not name:
            continue
        for known, field in _NAMES:
            phase = name.removesuffix(known) if name.endswith(known) else name.removeprefix(known) if name.startswith(known) else ""
            phase = _CONNECTOR.sub("", phase)
            if phase:
                found.setdefault(phase, {}).setdefault(field, place)
                break
        else:
            if name.endswith("名称") and name != "名称":
                found.setdefault(name.removesuffix("名称"), {}).setdefault("name", place)
    return {phase: places for phase, places in found.items() if all(field in places for field in REQUIRED)}


def _without_unit(column: str) -> str:
    return _UNIT.sub("", headings.bare(column))
