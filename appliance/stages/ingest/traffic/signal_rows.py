"""Rows about one signal plan: what it says, whether it is right, and single figures of it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from appliance.domain.conversation import Conversation
from appliance.domain.signal_plan import (
    LONGEST_ALL_RED,
    LONGEST_YELLOW,
    SHORTEST_YELLOW,
    Fault,
    SignalPlan,
    faults_of,
)
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.traffic import figures, signal_adjustments, signal_flows
from appliance.stages.ingest.traffic.signal_text import identity, shown, times_added, title
from appliance.stages.ingest.traffic.wording import chosen, number, row

EXPLAIN = (
    "请解释下面的信号配时方案。",
    "说明这个路口的信号是怎样放行的。",
    "把这份配时方案讲给不懂信号控制的同事听。",
    "下面的配时方案各相位怎样分配时间？",
)
CHECK = (
    "请检查这份配时方案的时间是否正确。",
    "这份信号配时能不能下发？请逐项核对。",
    "核对下面的配时方案：周期、最小绿灯、清空时间和相位差。",
    "下面的配时方案有没有错误？",
)


def rows_of(plan: SignalPlan, source: str) -> Iterator[Conversation]:
    """Every row that a plan gives; a plan with faults gives the one that names them."""
    faults = faults_of(plan)
    yield check_row(plan, faults, source)
    if faults:
        return
    yield explanation_row(plan, source)
    yield figure_row(plan, source)
    yield from signal_adjustments.rows_of(plan, source)
    yield from signal_flows.rows_of(plan, source)


def refusal_of(plan: SignalPlan) -> Refused | None:
    """Why a plan is listed among the rows that were not accepted: its gravest fault, with figures as people write them."""
    faults = faults_of(plan)
    if not faults:
        return None
    told = {name: value if isinstance(value, str) else figures.plain(value) for name, value in faults[0].parameters.items()}
    return Refused(faults[0].code, **told)


def check_row(plan: SignalPlan, faults: list[Fault], source: str) -> Conversation:
    """The arithmetic of the plan, step by step, and the verdict."""
    question = f"{chosen(CHECK, 'check', identity(plan))}\n\n{shown(plan)}"
    verdict = faults[0].code.removeprefix("plan_") if faults else "right"
    return row(question, _checked(plan, faults), source, {"task": "signal_check", "class": verdict})


def explanation_row(plan: SignalPlan, source: str) -> Conversation:
    """What the plan does, phase by phase."""
    begin = chosen(
        (
            f"{title(plan)}采用 {len(plan.phases)} 相位定时控制，一个周期 {figures.seconds(plan.cycle)}，各相位依次放行：",
            f"这是 {title(plan)}的定时方案：周期 {figures.seconds(plan.cycle)}，共 {len(plan.phases)} 个相位，按下列次序循环。",
        ),
        "explained",
        identity(plan),
    )
    lines = [begin]
    for place, phase in enumerate(plan.phases, 1):
        lines.append(
            f"{place}. {phase.name}：绿灯 {figures.seconds(phase.green)}，黄灯 {figures.seconds(phase.yellow)}，"
            f"全红 {figures.seconds(phase.all_red)}，共 {figures.seconds(phase.length)}；"
            f"绿信比 {figures.ratio(phase.green / plan.cycle)}，本相位的红灯（含全红）为 {figures.seconds(plan.red_of(phase))}。"
        )
    clearance = math.fsum(phase.yellow + phase.all_red for phase in plan.phases)
    lines.append(f"每周期用于黄灯和全红的时间共 {figures.seconds(clearance)}，占周期的 {figures.percent(clearance / plan.cycle)}。")
    if plan.offset is not None:
        late = f"比协调基准时刻晚 {figures.seconds(plan.offset)} 开始" if plan.offset else "与协调基准时刻同时开始"
        lines.append(f"相位差 {figures.seconds(plan.offset)}：第一相位{late}。")
    question = f"{chosen(EXPLAIN, 'explain', identity(plan))}\n\n{shown(plan)}"
    return row(question, "\n".join(lines), source, {"task": "signal_explain"})


def figure_row(plan: SignalPlan, source: str) -> Conversation:
    """One figure of one phase."""
    chance = number("figure", identity(plan))
    phase = plan.phases[chance % len(plan.phases)]
    green, cycle = figures.plain(phase.green), figures.plain(plan.cycle)
    asked, answer = chosen(
        (
            (
                f"“{phase.name}”的绿信比是多少？",
                f"绿信比 = 绿灯 ÷ 周期 = {green} ÷ {cycle} = {figures.ratio(phase.green / plan.cycle)}。",
            ),
            (
                f"“{phase.name}”每个周期要等多长的红灯？",
                (
                    f"红灯（含全红）= 周期 − 绿灯 − 黄灯 = {cycle} − {green} − {figures.plain(phase.yellow)} "
                    f"= {figures.seconds(plan.red_of(phase))}。"
                ),
            ),
            (
                f"“{phase.name}”每小时一共得到多少绿灯时间？",
                (
                    f"每小时有 3600 ÷ {cycle} = {figures.plain(3600 / plan.cycle)} 个周期，"
                    f"绿灯共 3600 × {green} ÷ {cycle} = {figures.seconds(3600 * phase.green / plan.cycle, 0)}。"
                ),
            ),
        ),
        "asked",
        identity(plan),
    )
    return row(f"{shown(plan)}\n\n{asked}", answer, source, {"task": "signal_question"})


def _checked(plan: SignalPlan, faults: list[Fault]) -> str:
    lines = [_FAULT_WORDS[fault.code](plan, fault) for fault in faults]
    if any(fault.code == "plan_time_negative" for fault in faults):
        return "\n".join(("方案有误，不能下发：", *lines))
    wrong = {fault.code for fault in faults}
    total = f"{times_added(plan)} = {figures.plain(plan.phases_sum)}"
    right = []
    if "plan_cycle_mismatch" not in wrong:
        right.append(f"各相位的绿灯、黄灯、全红之和为 {total} s，等于周期 {figures.seconds(plan.cycle)}。")
    if "plan_red_mismatch" not in wrong and any(phase.red is not None for phase in plan.phases):
        right.append(f"各相位的绿灯、黄灯、{'全红、' if plan.reds_leave_out_all_red else ''}红灯之和都等于周期。")
    if "plan_green_short" not in wrong:
        shortest = min(plan.phases, key=lambda phase: phase.green - phase.least_green)
        least = figures.seconds(shortest.least_green) + ("（方案未注明，按常用下限）" if shortest.minimum_green is None else "")
        right.append(f"各相位绿灯都不小于最小绿灯；余量最小的是“{shortest.name}”：{figures.seconds(shortest.green)}，最小 {least}。")
    if not wrong & {"plan_yellow_wrong", "plan_all_red_wrong"}:
        limits = f"{figures.plain(SHORTEST_YELLOW)} 至 {figures.seconds(LONGEST_YELLOW)}"
        right.append(f"黄灯都在 {limits} 之间，全红都不超过 {figures.seconds(LONGEST_ALL_RED)}。")
    if plan.offset is not None and "plan_offset_wrong" not in wrong:
        right.append(f"相位差 {figures.seconds(plan.offset)} 小于周期 {figures.seconds(plan.cycle)}。")
    if not faults:
        return "\n".join((*(f"{place}. {line}" for place, line in enumerate(right, 1)), "结论：配时方案的时间正确，可以使用。"))
    other = ["其余项目：", *right] if right else []
    return "\n".join(("方案有误，不能下发：", *(f"{place}. {line}" for place, line in enumerate(lines, 1)), *other))


def _cycle_mismatch(plan: SignalPlan, _fault: Fault) -> str:
    total = times_added(plan)
    difference = plan.phases_sum - plan.cycle
    return (
        f"各相位的绿灯、黄灯、全红之和为 {total} = {figures.seconds(plan.phases_sum)}，与周期 {figures.seconds(plan.cycle)} 不符，"
        f"{'多' if difference > 0 else '少'} {figures.seconds(abs(difference))}。"
    )


def _red_mismatch(plan: SignalPlan, fault: Fault) -> str:
    phase = next(one for one in plan.phases if one.name == fault.parameters["phase"])
    assert phase.red is not None
    return (
        f"“{phase.name}”的绿灯、黄灯、红灯之和为 {figures.added((phase.green, phase.yellow, phase.red))} = "
        f"{figures.seconds(fault.parameters['sum'])}，与周期 {figures.seconds(plan.cycle)} 不符；"
        f"按周期计算，红灯（含全红）应为 {figures.plain(plan.cycle)} − {figures.plain(phase.green)} − {figures.plain(phase.yellow)} "
        f"= {figures.seconds(plan.red_of(phase))}。"
    )


def _green_short(_plan: SignalPlan, fault: Fault) -> str:
    told = fault.parameters
    return f"“{told['phase']}”的绿灯 {figures.seconds(told['green'])} 小于最小绿灯 {figures.seconds(told['minimum'])}。"


def _yellow_wrong(_plan: SignalPlan, fault: Fault) -> str:
    limits = f"{figures.plain(SHORTEST_YELLOW)} 至 {figures.seconds(LONGEST_YELLOW)}"
    return f"“{fault.parameters['phase']}”的黄灯为 {figures.seconds(fault.parameters['yellow'])}，应在 {limits} 之间。"


def _all_red_wrong(_plan: SignalPlan, fault: Fault) -> str:
    limit = figures.seconds(LONGEST_ALL_RED)
    return f"“{fault.parameters['phase']}”的全红为 {figures.seconds(fault.parameters['all_red'])}，不应超过 {limit}。"


def _offset_wrong(plan: SignalPlan, fault: Fault) -> str:
    offset = figures.seconds(fault.parameters["offset"])
    return f"相位差 {offset} 不在 0 至 {figures.seconds(plan.cycle)}（不含）之间，相位差应小于周期。"


def _time_negative(plan: SignalPlan, _fault: Fault) -> str:
    where = [phase.name for phase in plan.phases if min(phase.green, phase.yellow, phase.all_red) < 0]
    return f"“{where[0]}”有小于 0 的时间。" if where else f"周期为 {figures.seconds(plan.cycle)}，必须大于 0。"


_FAULT_WORDS: dict[str, Callable[[SignalPlan, Fault], str]] = {
    "plan_cycle_mismatch": _cycle_mismatch,
    "plan_red_mismatch": _red_mismatch,
    "plan_green_short": _green_short,
    "plan_yellow_wrong": _yellow_wrong,
    "plan_all_red_wrong": _all_red_wrong,
    "plan_offset_wrong": _offset_wrong,
    "plan_time_negative": _time_negative,
}
