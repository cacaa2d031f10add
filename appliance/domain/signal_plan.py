"""A fixed-time signal plan: phases one after another, a cycle, an offset; and the arithmetic that decides whether it is a plan at all.

Times are seconds. Phases run one after another (stages); plans with concurrent rings are not described by this noun. What flows say about
a plan is in ``signal_capacity``.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

SHORTEST_GREEN = 5.0
"""Seconds. Used where a plan names no minimum: what drivers expect at least (Signal Timing Manual, FHWA-HOP-08-024, table 5-3: 2 to 5 s
for left turns, 7 to 15 s for main roads)."""
SHORTEST_YELLOW, LONGEST_YELLOW = 3.0, 6.0
"""Seconds. MUTCD 2009, section 4D.26: a yellow change interval of 3 to 6 s."""
LONGEST_ALL_RED = 6.0
"""Seconds. MUTCD 2009, section 4D.26: a red clearance interval of at most 6 s."""
TOLERANCE = 0.05
"""Seconds: plans are written with at most one decimal."""


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """One stage of a cycle: the green for its movements, then the clearance."""

    name: str
    green: float
    """Displayed green."""
    yellow: float
    all_red: float = 0.0
    red: float | None = None
    """Red of this phase's own lamps as a plan states it, with or without the all-red: both are usual; None where it states none."""
    minimum_green: float | None = None
    flow: float | None = None
    """Of the critical lane or lane group, pcu/h."""
    saturation_flow: float | None = None
    """Of the same lane or lane group, pcu/h of green."""

    @property
    def length(self) -> float:
        """Green and clearance together."""
        return self.green + self.yellow + self.all_red

    @property
    def least_green(self) -> float:
        """The plan's own minimum, else ``SHORTEST_GREEN``."""
        return SHORTEST_GREEN if self.minimum_green is None else self.minimum_green


class SignalPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What a controller runs at one intersection for a part of the day."""

    intersection: str
    name: str = ""
    """Of the plan, or its part of the day."""
    phases: tuple[Phase, ...]
    cycle: float
    offset: float | None = None
    """Of the beginning of the first phase against the common reference; None for an intersection that is not coordinated."""

    @property
    def phases_sum(self) -> float:
        """What the phases add up to; the cycle of a right plan."""
        return math.fsum(phase.length for phase in self.phases)

    def red_of(self, phase: Phase) -> float:
        """How long a phase's own lamps show red in this cycle, the all-red included."""
        return self.cycle - phase.green - phase.yellow

    @property
    def reds_leave_out_all_red(self) -> bool:
        """Whether a stated red is the cycle's rest only together with the all-red."""
        return any(phase.red is not None and not same(phase.red, self.red_of(phase)) for phase in self.phases)


class Fault(msgspec.Struct, frozen=True):
    """One reason why a plan must not be run."""

    code: str
    """``plan_cycle_mismatch``, ``plan_red_mismatch``, ``plan_green_short``, ``plan_yellow_wrong``, ``plan_all_red_wrong``,
    ``plan_offset_wrong`` or ``plan_time_negative``: a key of the texts' ``problems``."""
    parameters: dict[str, Any]


def same(left: float, right: float) -> bool:
    """Whether two times are equal as far as plans are written."""
    return abs(left - right) < TOLERANCE


def faults_of(plan: SignalPlan) -> list[Fault]:
    """Everything that is wrong with a plan's arithmetic, the gravest first; empty for a plan that can be run."""
    if plan.cycle <= 0 or any(min(phase.green, phase.yellow, phase.all_red) < 0 for phase in plan.phases):
        return [Fault("plan_time_negative", {})]
    found = []
    if not same(plan.phases_sum, plan.cycle):
        found.append(Fault("plan_cycle_mismatch", {"sum": plan.phases_sum, "cycle": plan.cycle}))
    for phase in plan.phases:
        found += _faults_of_phase(plan, phase)
    if plan.offset is not None and not 0 <= plan.offset < plan.cycle:
        found.append(Fault("plan_offset_wrong", {"offset": plan.offset, "cycle": plan.cycle}))
    return found


def _faults_of_phase(plan: SignalPlan, phase: Phase) -> list[Fault]:
    found = []
    lamps = phase.green + phase.yellow + (phase.red or 0.0)
    if phase.red is not None and not same(lamps, plan.cycle) and not same(lamps + phase.all_red, plan.cycle):
        found.append(Fault("plan_red_mismatch", {"phase": phase.name, "sum": lamps, "cycle": plan.cycle}))
    if phase.green < phase.least_green - TOLERANCE:
        found.append(Fault("plan_green_short", {"phase": phase.name, "green": phase.green, "minimum": phase.least_green}))
    if not SHORTEST_YELLOW <= phase.yellow <= LONGEST_YELLOW:
        found.append(Fault("plan_yellow_wrong", {"phase": phase.name, "yellow": phase.yellow}))
    if phase.all_red > LONGEST_ALL_RED:
        found.append(Fault("plan_all_red_wrong", {"phase": phase.name, "all_red": phase.all_red}))
    return found


def moved_green(plan: SignalPlan, receiver: int, giver: int, seconds: float) -> SignalPlan:
    """The plan with green moved from one phase to another: the cycle stays what it is. Raises ValueError for what cannot be given.

    Stated reds are stated anew.
    """
    if receiver == giver or seconds < 0 or plan.phases[giver].green - seconds < plan.phases[giver].least_green:
        raise ValueError("the giving phase would fall below its minimum green")
    change = {receiver: seconds, giver: -seconds}
    return with_greens(plan, [phase.green + change.get(place, 0.0) for place, phase in enumerate(plan.phases)])


def with_greens(plan: SignalPlan, greens: list[float], cycle: float | None = None) -> SignalPlan:
    """The plan with other greens, and stated reds stated anew for its cycle; another cycle only where one is given."""
    cycle = plan.cycle if cycle is None else cycle
    phases = []
    for phase, green in zip(plan.phases, greens, strict=True):
        red = None if phase.red is None else phase.red + phase.green - green + cycle - plan.cycle
        phases.append(msgspec.structs.replace(phase, green=green, red=red))
    return msgspec.structs.replace(plan, phases=tuple(phases), cycle=cycle)
