"""Rows about changing a plan that is right: the cycle stays what it is, or the answer says aloud that it does not.

Advice that changes G40-Y3-R37 into G55-Y3-R32 makes a cycle of 80 s one of 90 s without a word, and breaks every coordination.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from appliance.domain.conversation import Conversation
from appliance.domain.signal_plan import Phase, SignalPlan, moved_green
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.signal_text import identity, lamps, shown, times_added
from appliance.stages.ingest.traffic.wording import chosen, number, row

LARGEST_CHANGE = 15
"""Seconds by which a row changes a green at most."""

MOVE = (
    "请把“{phase}”的绿灯增加 {seconds}，周期保持不变，给出调整后的方案。",
    "“{phase}”排队较长，希望绿灯加 {seconds}，但不能改变周期。应当怎样调整？",
    "在周期不变的前提下，给“{phase}”增加 {seconds} 绿灯，新的配时是什么？",
)
PROPOSE = (
    "有人建议把“{phase}”由 {before} 改为 {after}，可以吗？",
    "“{phase}”现为 {before}，拟调整为 {after}。这样调整会不会改变周期？",
    "请审核这项调整：“{phase}”从 {before} 调整到 {after}。",
)
SHIFT = (
    "如果第一相位的开始时刻再推迟 {seconds}，相位差应设为多少？",
    "为了配合上游车队，要把这个路口推迟 {seconds} 开始，新的相位差是多少？",
)


def rows_of(plan: SignalPlan, source: str) -> Iterator[Conversation]:
    """Green moved between phases, a proposal judged, an offset shifted: whatever this plan allows."""
    for made in (_moved(plan, source), _proposal(plan, source), _shifted(plan, source)):
        if made is not None:
            yield made


def spare(phase: Phase) -> int:
    """Whole seconds of green above the minimum."""
    return max(0, math.floor(phase.green - phase.least_green))


def lamps_of(plan: SignalPlan, phase: Phase) -> str:
    """A phase's own lamps; they add up to the cycle."""
    return lamps(phase.green, phase.yellow, plan.red_of(phase))


def _moved(plan: SignalPlan, source: str) -> Conversation | None:
    chance = number("move", identity(plan))
    receiver = chance % len(plan.phases)
    givers = [place for place in range(len(plan.phases)) if place != receiver]
    if not givers:
        return None
    giver = max(givers, key=lambda place: (spare(plan.phases[place]), -place))
    room = spare(plan.phases[giver])
    if not room:
        return None
    change = 1 + chance // len(plan.phases) % min(room, LARGEST_CHANGE)
    after = moved_green(plan, receiver, giver, change)
    more, less = plan.phases[receiver], plan.phases[giver]
    lines = [
        (
            f"周期不变，增加的 {figures.seconds(change)} 要从其他相位扣除。“{less.name}”的绿灯 {figures.seconds(less.green)}，"
            f"最小绿灯 {figures.seconds(less.least_green)}，可让出的时间最多，由它让出。"
        ),
        "调整后：",
        *(
            f"- {phase.name}：绿灯 {figures.seconds(phase.green)}，黄灯 {figures.seconds(phase.yellow)}，全红 "
            f"{figures.seconds(phase.all_red)}（{lamps_of(after, phase)}）"
            for phase in after.phases
        ),
        (f"校验：{times_added(after)} = {figures.seconds(after.phases_sum)}，周期仍为 {figures.seconds(plan.cycle)}。"),
    ]
    asked = chosen(MOVE, "moved", identity(plan)).format(phase=more.name, seconds=figures.seconds(change))
    return row(f"{shown(plan)}\n\n{asked}", "\n".join(lines), source, {"task": "signal_adjust"})


def _proposal(plan: SignalPlan, source: str) -> Conversation | None:
    """A change of one phase's lamps as people write it down; two of three break the cycle."""
    chance = number("propose", identity(plan))
    phase = plan.phases[chance % len(plan.phases)]
    longer = 5 * (1 + chance // 8 % 3)
    shorter = (longer, longer - 5, 0)[chance // 64 % 3]
    red = plan.red_of(phase)
    if red - longer <= phase.all_red:
        return None
    before, after = lamps_of(plan, phase), lamps(phase.green + longer, phase.yellow, red - shorter)
    others = sum(spare(one) for one in plan.phases if one is not phase)
    spent = (
        f"其他相位共须让出 {figures.seconds(longer)} 绿灯，按最小绿灯最多可让出 {figures.seconds(others)}，"
        f"{'可以做到' if others >= longer else '做不到，应减小增加量'}。"
    )
    new_cycle = phase.green + longer + phase.yellow + red - shorter
    total = f"{figures.added((phase.green + longer, phase.yellow, red - shorter))} = {figures.seconds(new_cycle)}"
    if longer == shorter:
        answer = f"调整后 {total}，与周期 {figures.seconds(plan.cycle)} 一致，周期不变。{spent}"
        verdict = "cycle_kept"
    else:
        right = lamps(phase.green + longer, phase.yellow, red - longer)
        answer = (
            f"不可以这样改。现行 {figures.added((phase.green, phase.yellow, red))} = {figures.seconds(plan.cycle)}；调整后 {total}，"
            f"周期被改为 {figures.seconds(new_cycle)}，多出 {figures.seconds(new_cycle - plan.cycle)}，会打乱与相邻路口的协调。"
            f"绿灯要增加 {figures.seconds(longer)} 而周期不变，红灯应减少同样多，即 {right}。{spent}"
        )
        verdict = "cycle_changed"
    asked = chosen(PROPOSE, "proposed", identity(plan)).format(phase=phase.name, before=before, after=after)
    return row(f"{shown(plan)}\n\n{asked}", answer, source, {"task": "signal_adjust", "class": verdict})


def _shifted(plan: SignalPlan, source: str) -> Conversation | None:
    if plan.offset is None:
        return None
    later = 5 * (1 + number("shift", identity(plan)) % max(1, int(plan.cycle // 5) - 1))
    total = plan.offset + later
    after = total % plan.cycle
    added = f"{figures.added((plan.offset, later))} = {figures.seconds(total)}"
    if total < plan.cycle:
        answer = f"{added}，小于周期 {figures.seconds(plan.cycle)}，新的相位差为 {figures.seconds(after)}。"
    else:
        answer = (
            f"{added}，不小于周期 {figures.seconds(plan.cycle)}，须减去一个周期：{figures.plain(total)} − {figures.plain(plan.cycle)} = "
            f"{figures.seconds(after)}。新的相位差为 {figures.seconds(after)}。"
        )
    asked = chosen(SHIFT, "shifted", identity(plan)).format(seconds=figures.seconds(later))
    return row(f"{shown(plan)}\n\n{asked}", answer, source, {"task": "signal_adjust"})
