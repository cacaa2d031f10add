"""A signal plan in words: the forms in which questions show it, and the lamps of one phase in short."""

from __future__ import annotations

from appliance.domain.signal_plan import Phase, SignalPlan
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.wording import chosen


def title(plan: SignalPlan) -> str:
    """The intersection, and the plan's own name where it has one."""
    return f"{plan.intersection}（{plan.name}）" if plan.name else plan.intersection


def lamps(green: float, yellow: float, red: float) -> str:
    """One phase's lamps in short: ``G40-Y3-R37``."""
    return f"G{figures.plain(green)}-Y{figures.plain(yellow)}-R{figures.plain(red)}"


def shown(plan: SignalPlan, with_flows: bool = False) -> str:
    """The whole plan as a question shows it, in one of three forms; flows only where they are asked about."""
    form = chosen((_as_list, _as_table, _in_short), "plan", identity(plan))
    return form(plan, with_flows)


def times_added(plan: SignalPlan) -> str:
    """Every time of the plan in a sum without its result: ``40 + 3 + 2 + 40 + 3 + 2``."""
    return figures.added(part for one in plan.phases for part in (one.green, one.yellow, one.all_red))


def identity(plan: SignalPlan) -> str:
    """What wordings for this plan are chosen by."""
    return f"{title(plan)} {plan.cycle} {plan.offset} " + " ".join(
        f"{one.name}:{one.green}:{one.yellow}:{one.all_red}" for one in plan.phases
    )


def _head(plan: SignalPlan) -> str:
    offset = "" if plan.offset is None else f"，相位差 {figures.seconds(plan.offset)}"
    return f"周期 {figures.seconds(plan.cycle)}{offset}"


def _facts(phase: Phase, with_flows: bool) -> list[tuple[str, str]]:
    """Heading and figure of everything that is stated about a phase."""
    facts = [("绿灯", figures.seconds(phase.green)), ("黄灯", figures.seconds(phase.yellow)), ("全红", figures.seconds(phase.all_red))]
    if phase.red is not None:
        facts.append(("红灯", figures.seconds(phase.red)))
    if phase.minimum_green is not None:
        facts.append(("最小绿灯", figures.seconds(phase.minimum_green)))
    if with_flows and phase.flow is not None:
        facts.append(("流量", figures.flow(phase.flow)))
    if with_flows and phase.saturation_flow is not None:
        facts.append(("饱和流量", figures.flow(phase.saturation_flow)))
    return facts


def _as_list(plan: SignalPlan, with_flows: bool) -> str:
    lines = [f"路口：{title(plan)}", _head(plan)]
    for place, phase in enumerate(plan.phases, 1):
        lines.append(f"第 {place} 相位（{phase.name}）：" + "，".join(f"{name} {figure}" for name, figure in _facts(phase, with_flows)))
    return "\n".join(lines)


def _as_table(plan: SignalPlan, with_flows: bool) -> str:
    rows = [_facts(phase, with_flows) for phase in plan.phases]
    headings = list(dict.fromkeys(name for facts in rows for name, _ in facts))
    lines = [f"{title(plan)}，{_head(plan)}", "| 相位 | " + " | ".join(headings) + " |", "|" + " --- |" * (len(headings) + 1)]
    for phase, facts in zip(plan.phases, rows, strict=True):
        found = dict(facts)
        lines.append(f"| {phase.name} | " + " | ".join(found.get(name, "—") for name in headings) + " |")
    return "\n".join(lines)


def _in_short(plan: SignalPlan, with_flows: bool) -> str:
    parts = []
    for phase in plan.phases:
        clear = (
            f"{phase.name} 绿 {figures.seconds(phase.green)} / 黄 {figures.seconds(phase.yellow)} / 全红 {figures.seconds(phase.all_red)}"
        )
        more = [f"{name} {figure}" for name, figure in _facts(phase, with_flows)[3:]]
        parts.append(clear + (f"（{'，'.join(more)}）" if more else ""))
    return f"{title(plan)}信号配时：{_head(plan)}；" + "；".join(parts) + "。"
