"""Rows about a plan whose flows are known: degrees of saturation, delay, Webster's cycle and splits. The formulas are the domain's."""

from __future__ import annotations

import math
from collections.abc import Iterator

from appliance.domain import signal_capacity as capacity
from appliance.domain.conversation import Conversation
from appliance.domain.signal_plan import SignalPlan
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.signal_text import identity, shown, times_added
from appliance.stages.ingest.traffic.wording import chosen, row

LONGEST_CYCLE = 180
"""Seconds. Longer cycles are not proposed: drivers and pedestrians stop believing in a green."""

SATURATION = (
    "请计算各相位的饱和度，并指出最紧张的相位。",
    "各相位的通行能力和饱和度是多少？",
    "这个方案在给定流量下够用吗？请用饱和度说明。",
)
WEBSTER = ("请用韦伯斯特公式计算最佳周期。", "按 Webster 法，这个路口的最佳周期是多少？", "现行周期合适吗？请用韦伯斯特最佳周期核对。")
DELAY = ("请估算各相位的平均控制延误和服务水平。", "这个方案下车辆平均要等多久？给出服务水平。")
DIVIDE = (
    "周期不变，请按流量比重新分配绿灯。",
    "请在不改变周期的前提下，按韦伯斯特法优化绿信比。",
    "流量如上，周期不动，绿灯应怎样重新分配？",
)


def rows_of(plan: SignalPlan, source: str) -> Iterator[Conversation]:
    """Nothing for a plan without flows."""
    if not capacity.has_flows(plan) or not capacity.flow_ratio_sum(plan):
        return
    for asked, answer, task in (
        (chosen(SATURATION, "saturation", identity(plan)), _saturation(plan), "signal_capacity"),
        (chosen(WEBSTER, "webster", identity(plan)), _webster(plan), "signal_capacity"),
        (chosen(DELAY, "delay", identity(plan)), _delay(plan), "signal_capacity"),
        (chosen(DIVIDE, "divide", identity(plan)), _divided(plan), "signal_adjust"),
    ):
        if answer:
            yield row(f"{shown(plan, with_flows=True)}\n\n{asked}", answer, source, {"task": task})


def _saturation(plan: SignalPlan) -> str:
    lines = ["有效绿灯取显示绿灯（启动损失 2 s 与黄灯末尾可利用的 2 s 相抵）。通行能力 c = s × g ÷ C，饱和度 X = q ÷ c。"]
    lines += [
        f"- {phase.name}：c = {figures.plain(phase.saturation_flow or 0, 0)} × {figures.plain(phase.green)} ÷ {figures.plain(plan.cycle)} "
        f"= {figures.flow(capacity.capacity(plan, phase))}，X = {figures.ratio(capacity.saturation(plan, phase))}"
        for phase in plan.phases
    ]
    worst = max(plan.phases, key=lambda phase: capacity.saturation(plan, phase))
    used = capacity.saturation(plan, worst)
    verdict = "已过饱和，排队会逐周期增长" if used > 1 else "接近饱和，余量不足" if used > 0.9 else "有余量"
    lines.append(f"最紧张的是“{worst.name}”，X = {figures.ratio(used)}，{verdict}。")
    return "\n".join(lines)


def _webster(plan: SignalPlan) -> str:
    ratios = "，".join(f"{phase.name} {figures.ratio(capacity.flow_ratio(phase))}" for phase in plan.phases)
    lost, total = capacity.lost_time(plan), capacity.flow_ratio_sum(plan)
    lines = [
        f"各相位流量比 y = q ÷ s：{ratios}；合计 Y = {figures.ratio(total)}。每周期损失时间 L = {figures.seconds(lost)}（黄灯与全红之和）。"
    ]
    best = capacity.webster_cycle(plan)
    if best is None:
        return (
            f"{lines[0]}\nY 大于 {figures.plain(capacity.LARGEST_FLOW_RATIO)}，C₀ = (1.5 L + 5) ÷ (1 − Y) 不再适用：延长周期解决不了，"
            "需要增加车道、减少相位或分流。"
        )
    low, high = 0.75 * best, 1.5 * best
    inside = low <= plan.cycle <= high
    lines.append(
        f"C₀ = (1.5 L + 5) ÷ (1 − Y) = (1.5 × {figures.plain(lost)} + 5) ÷ (1 − {figures.ratio(total)}) ≈ {figures.seconds(best, 1)}。"
    )
    lines.append(
        f"实用范围 0.75 C₀ 至 1.5 C₀，即 {figures.plain(low, 1)} 至 {figures.seconds(high, 1)}；"
        f"现行周期 {figures.seconds(plan.cycle)} {'在' if inside else '不在'}此范围内。"
    )
    proposed = None if inside else _proposed(plan, best)
    if proposed is not None:
        greens = "，".join(f"{phase.name} {figures.seconds(phase.green)}" for phase in proposed.phases)
        lines.append(
            f"如改用 {figures.seconds(proposed.cycle)} 周期，绿灯为：{greens}。这会改变周期：协调路口须同时调整，相位差须重新计算。"
        )
    return "\n".join(lines)


def _proposed(plan: SignalPlan, best: float) -> SignalPlan | None:
    cycle = 5.0 * math.ceil(best / 5)
    return capacity.divided_by_flow(plan, cycle) if cycle <= LONGEST_CYCLE else None


def _delay(plan: SignalPlan) -> str:
    lines = ["按 HCM 控制延误 d = d₁ + d₂（分析时段 15 min，单点定时控制）："]
    for phase in plan.phases:
        waits = capacity.delay(plan, phase)
        lines.append(
            f"- {phase.name}：X = {figures.ratio(capacity.saturation(plan, phase))}，d = {figures.seconds(waits, 1)}/veh，"
            f"服务水平 {capacity.level_of_service(waits, capacity.saturation(plan, phase))}"
        )
    mean = capacity.mean_delay(plan)
    lines.append(f"按流量加权，路口平均延误 {figures.seconds(mean, 1)}/veh，服务水平 {capacity.level_of_service(mean)}。")
    return "\n".join(lines)


def _divided(plan: SignalPlan) -> str:
    after = capacity.divided_by_flow(plan)
    if after is None:
        return ""
    if [phase.green for phase in after.phases] == [phase.green for phase in plan.phases]:
        return f"现行绿灯已与流量比一致，周期 {figures.seconds(plan.cycle)} 下不需要调整。"
    lines = ["有效绿灯按流量比分配 gᵢ = yᵢ ÷ Y × (C − L)，取整秒，不小于最小绿灯，周期不变："]
    for before, phase in zip(plan.phases, after.phases, strict=True):
        lines.append(
            f"- {phase.name}：绿灯 {figures.seconds(before.green)} → {figures.seconds(phase.green)}，"
            f"饱和度 {figures.ratio(capacity.saturation(plan, before))} → {figures.ratio(capacity.saturation(after, phase))}"
        )
    now, then = capacity.mean_delay(plan), capacity.mean_delay(after)
    still = "；但仍过饱和，还需增加通行能力或分流" if capacity.critical_saturation(plan) > 1 else ""
    lines.append(
        f"校验：{times_added(after)} = "
        f"{figures.seconds(after.phases_sum)}，周期仍为 {figures.seconds(plan.cycle)}。"
        f"路口平均延误（HCM）由 {figures.seconds(now, 1)}/veh 变为 {figures.seconds(then, 1)}/veh，"
        f"{'可以采用' if then < now else '没有减少，建议维持现行绿灯'}{still}。"
    )
    return "\n".join(lines)
