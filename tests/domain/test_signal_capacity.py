"""Capacity, delay and Webster's formulas against figures worked out another way."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.domain import signal_capacity as capacity
from appliance.domain.signal_plan import Phase, SignalPlan, faults_of

PLAN = SignalPlan(
    intersection="X",
    phases=(
        Phase(name="A", green=40.0, yellow=3.0, all_red=2.0, flow=700.0, saturation_flow=1800.0),
        Phase(name="B", green=40.0, yellow=3.0, all_red=2.0, flow=500.0, saturation_flow=1750.0),
    ),
    cycle=90.0,
)


@st.composite
def loaded_plans(draw: st.DrawFn) -> SignalPlan:
    """Right plans with flows, in whole seconds."""
    phases = tuple(
        Phase(
            name=f"P{place}",
            green=float(draw(st.integers(10, 60))),
            yellow=3.0,
            all_red=float(draw(st.integers(0, 3))),
            flow=float(draw(st.integers(0, 1500))),
            saturation_flow=float(draw(st.integers(800, 4000))),
        )
        for place in range(draw(st.integers(2, 6)))
    )
    return SignalPlan(intersection="X", phases=phases, cycle=sum(phase.length for phase in phases))


def test_webster_as_in_textbooks() -> None:
    """Flows of 500 and 300 over saturation flows of 1600 with 16 s of lost time give an optimum of 58 s."""
    phases = tuple(
        Phase(name=name, green=22.0, yellow=3.0, all_red=5.0, flow=flow, saturation_flow=1600.0)
        for name, flow in (("A", 500.0), ("B", 300.0))
    )
    plan = SignalPlan(intersection="X", phases=phases, cycle=60.0)
    assert capacity.lost_time(plan) == 16.0
    best = capacity.webster_cycle(plan)
    assert best == pytest.approx(58.0)


def test_figures_of_one_plan() -> None:
    """Capacity, degree of saturation and both parts of the delay, worked out by hand for one plan."""
    first = PLAN.phases[0]
    assert capacity.capacity(PLAN, first) == pytest.approx(800.0)
    assert capacity.saturation(PLAN, first) == pytest.approx(0.875)
    uniform = 0.5 * 90 * (1 - 4 / 9) ** 2 / (1 - 0.875 * 4 / 9)
    incremental = 225 * (-0.125 + math.sqrt(0.125**2 + 4 * 0.875 / 200))
    assert capacity.delay(PLAN, first) == pytest.approx(uniform + incremental)
    assert (capacity.level_of_service(uniform + incremental), capacity.level_of_service(5.0, 1.01)) == ("D", "F")


@given(loaded_plans())
def test_formulas_agree_with_exact_arithmetic(plan: SignalPlan) -> None:
    """Y, L, Xc and C0 are those of fractions."""
    ratios = [Fraction(int(one.flow or 0), int(one.saturation_flow or 1)) for one in plan.phases]
    total, lost = sum(ratios), sum(Fraction(int(one.yellow + one.all_red)) for one in plan.phases)
    assert capacity.flow_ratio_sum(plan) == pytest.approx(float(total))
    assert capacity.lost_time(plan) == pytest.approx(float(lost))
    assert capacity.critical_saturation(plan) == pytest.approx(float(total * Fraction(plan.cycle) / (Fraction(plan.cycle) - lost)))
    best = capacity.webster_cycle(plan)
    if 0 < total <= Fraction(94, 100):
        assert best == pytest.approx(float((Fraction(3, 2) * lost + 5) / (1 - total)))
    elif total == 0 or total >= Fraction(96, 100):
        assert best is None


@given(loaded_plans())
def test_dividing_by_flow_gives_a_right_plan(plan: SignalPlan) -> None:
    """Greens divided by flow fill the same cycle, keep their minimums, and are whole seconds."""
    after = capacity.divided_by_flow(plan)
    assert (after is None) == (capacity.flow_ratio_sum(plan) == 0)
    if after is not None:
        assert faults_of(after) == [] and after.cycle == plan.cycle
        assert all(phase.green == int(phase.green) for phase in after.phases)


@given(loaded_plans())
def test_division_follows_the_flow_ratios(plan: SignalPlan) -> None:
    """Where no minimum binds, each green is within a second of its share of the effective green."""
    total = capacity.flow_ratio_sum(plan)
    assume(total > 0)
    room = plan.cycle - capacity.lost_time(plan)
    shares = [capacity.flow_ratio(phase) / total * room for phase in plan.phases]
    assume(min(shares) >= 5)
    after = capacity.divided_by_flow(plan)
    assert after is not None
    assert all(abs(phase.green - share) < 1 for phase, share in zip(after.phases, shares, strict=True))


@given(loaded_plans())
def test_delay_grows_with_flow(plan: SignalPlan) -> None:
    """More traffic on a phase never waits less."""
    busier = replace(plan, phases=tuple(replace(phase, flow=(phase.flow or 0) + 50) for phase in plan.phases))
    assert all(
        capacity.delay(plan, one) <= capacity.delay(busier, other) + 1e-9 for one, other in zip(plan.phases, busier.phases, strict=True)
    )


def test_no_green_has_no_figures() -> None:
    """A plan with a phase that never gets green has no capacity to speak of."""
    assert capacity.has_flows(PLAN)
    assert not capacity.has_flows(replace(PLAN, phases=(PLAN.phases[0], replace(PLAN.phases[1], green=0.0))))
    assert not capacity.has_flows(replace(PLAN, phases=(PLAN.phases[0], replace(PLAN.phases[1], flow=None))))
