"""What flows say about a signal plan: capacity, degree of saturation, delay, Webster's optimum cycle and splits.

Sources: F. V. Webster, Traffic Signal Settings, Road Research Technical Paper 39, 1958 (optimum cycle, splits); Highway Capacity Manual
2010, chapter 18 (lost times, capacity, uniform and incremental delay, levels of service for signalized intersections).
Times are seconds, flows and capacities pcu/h, delays seconds per vehicle.
"""

from __future__ import annotations

import math

from appliance.domain.signal_plan import Phase, SignalPlan, with_greens

START_UP_LOST_TIME = 2.0
"""Seconds at the beginning of a green (HCM 2010, chapter 18)."""
END_GAIN = 2.0
"""Seconds of yellow that are driven as if it were green (HCM 2010, chapter 18)."""
ANALYSIS_HOURS = 0.25
"""T of the incremental delay: a quarter of an hour."""
FIXED_TIME_K = 0.5
"""k of the incremental delay for fixed-time control; the factor I of an isolated intersection is 1."""
LARGEST_FLOW_RATIO = 0.95
"""Webster's cycle grows beyond use as Y comes near 1; from here on more lanes or fewer phases are needed, not a longer cycle."""
LEVELS_OF_SERVICE = (("A", 10.0), ("B", 20.0), ("C", 35.0), ("D", 55.0), ("E", 80.0))
"""Largest delay of each level, s/veh; beyond them F."""


def has_flows(plan: SignalPlan) -> bool:
    """Whether every phase has a green, a flow and a saturation flow, so that all that follows here can be computed."""
    return all(phase.flow is not None and phase.saturation_flow and effective_green(phase) > 0 for phase in plan.phases)


def effective_green(phase: Phase) -> float:
    """g = G − start-up lost time + end gain; with the manual's values the displayed green."""
    return phase.green - START_UP_LOST_TIME + END_GAIN


def lost_time_of(phase: Phase) -> float:
    """What of a phase nobody drives in: its length less its effective green."""
    return phase.length - effective_green(phase)


def lost_time(plan: SignalPlan) -> float:
    """L of a cycle."""
    return math.fsum(lost_time_of(phase) for phase in plan.phases)


def flow_ratio(phase: Phase) -> float:
    """y = q / s."""
    assert phase.flow is not None and phase.saturation_flow
    return phase.flow / phase.saturation_flow


def flow_ratio_sum(plan: SignalPlan) -> float:
    """Y, the sum over the phases' critical lanes."""
    return math.fsum(flow_ratio(phase) for phase in plan.phases)


def capacity(plan: SignalPlan, phase: Phase) -> float:
    """c = s · g / C."""
    assert phase.saturation_flow
    return phase.saturation_flow * effective_green(phase) / plan.cycle


def saturation(plan: SignalPlan, phase: Phase) -> float:
    """X = q / c; above 1 the queue grows from cycle to cycle. Infinite for a flow without green."""
    assert phase.flow is not None
    possible = capacity(plan, phase)
    return phase.flow / possible if possible > 0 else math.inf if phase.flow else 0.0


def critical_saturation(plan: SignalPlan) -> float:
    """Xc = Y · C / (C − L): what the intersection as a whole is used to, however greens are divided."""
    return flow_ratio_sum(plan) * plan.cycle / (plan.cycle - lost_time(plan))


def delay(plan: SignalPlan, phase: Phase) -> float:
    """d = d1 + d2 (control delay without initial queue, progression factor 1).

    d1 = 0.5 C (1 − g/C)² / (1 − min(1, X) g/C);  d2 = 900 T [(X − 1) + √((X − 1)² + 8 k I X / (c T))].
    """
    share, used, possible = effective_green(phase) / plan.cycle, saturation(plan, phase), capacity(plan, phase)
    uniform = 0.5 * plan.cycle * (1 - share) ** 2 / (1 - min(1.0, used) * share)
    over = used - 1
    incremental = 900 * ANALYSIS_HOURS * (over + math.sqrt(over**2 + 8 * FIXED_TIME_K * used / (possible * ANALYSIS_HOURS)))
    return uniform + incremental


def mean_delay(plan: SignalPlan) -> float:
    """Over all phases, weighted by their flows; 0 without traffic."""
    flows = [phase.flow or 0.0 for phase in plan.phases]
    total = math.fsum(flows)
    return math.fsum(delay(plan, phase) * flow for phase, flow in zip(plan.phases, flows, strict=True)) / total if total else 0.0


def level_of_service(seconds: float, used: float = 0.0) -> str:
    """A to F by control delay; F for a phase whose degree of saturation is above 1, however short its delay."""
    return "F" if used > 1 else next((level for level, largest in LEVELS_OF_SERVICE if seconds <= largest), "F")


def webster_cycle(plan: SignalPlan) -> float | None:
    """C0 = (1.5 L + 5) / (1 − Y); None where Y is too large (``LARGEST_FLOW_RATIO``) or nothing flows."""
    ratio = flow_ratio_sum(plan)
    return (1.5 * lost_time(plan) + 5) / (1 - ratio) if 0 < ratio <= LARGEST_FLOW_RATIO else None


def divided_by_flow(plan: SignalPlan, cycle: float | None = None) -> SignalPlan | None:
    """The plan with its effective green divided in proportion to the flow ratios: gᵢ = yᵢ / Y · (C − L), Webster's splits.

    Greens are whole seconds (with the rest of a cycle that is none in the phase that needs most) and no shorter than their minimum; what
    a minimum takes is missing from the others in the same proportion. The cycle stays what it is unless another one is given. None where
    the minimum greens do not fit or nothing flows.
    """
    cycle = plan.cycle if cycle is None else cycle
    shift = START_UP_LOST_TIME - END_GAIN
    room = cycle - math.fsum(phase.yellow + phase.all_red for phase in plan.phases)
    ratios = [flow_ratio(phase) for phase in plan.phases]
    shortest = [max(1, math.ceil(phase.least_green)) for phase in plan.phases]
    if math.fsum(ratios) <= 0 or room < sum(shortest):
        return None
    return with_greens(plan, _divided(room, ratios, shortest, shift), cycle)


def _divided(room: float, ratios: list[float], shortest: list[int], shift: float) -> list[float]:
    """Greens in whole seconds that add up to ``room``: proportional above the minimums, largest remainders first."""
    held: set[int] = set()
    while True:
        free = [place for place in range(len(ratios)) if place not in held]
        left = room - sum(shortest[place] for place in held) - shift * len(free)
        weight = math.fsum(ratios[place] for place in free)
        exact = {place: left * ratios[place] / weight + shift if weight else 0.0 for place in free}
        short = {place for place, green in exact.items() if green < shortest[place]}
        if not short:
            break
        held |= short
    greens = [float(shortest[place]) if place in held else float(math.floor(exact[place])) for place in range(len(ratios))]
    rest = room - math.fsum(greens)
    order = sorted(free, key=lambda place: (-(exact[place] - math.floor(exact[place])), place)) or [0]
    for place in order[: math.floor(rest + 1e-9)]:
        greens[place] += 1
    greens[order[0]] += room - math.fsum(greens)
    return greens
