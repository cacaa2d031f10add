"""The arithmetic of signal plans: what is wrong is named, and what moves green keeps the cycle."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.domain.signal_plan import Phase, SignalPlan, faults_of, moved_green

times = st.integers(min_value=50, max_value=900).map(lambda tenths: tenths / 10)
phases = st.builds(
    Phase,
    name=st.just("P"),
    green=times,
    yellow=st.sampled_from([3.0, 3.5, 4.0]),
    all_red=st.sampled_from([0.0, 1.0, 2.5]),
)


@st.composite
def right_plans(draw: st.DrawFn) -> SignalPlan:
    """Plans without a fault; exact sums of tenths."""
    chosen = [replace(phase, name=f"P{place}") for place, phase in enumerate(draw(st.lists(phases, min_size=2, max_size=8)))]
    cycle = float(sum(Fraction(str(part)) for one in chosen for part in (one.green, one.yellow, one.all_red)))
    offset = draw(st.none() | st.integers(min_value=0, max_value=int(cycle) - 1).map(float))
    return SignalPlan(intersection="X", phases=tuple(chosen), cycle=cycle, offset=offset)


def codes(plan: SignalPlan) -> list[str]:
    """What is wrong with a plan."""
    return [fault.code for fault in faults_of(plan)]


@given(right_plans())
def test_a_right_plan_has_no_fault(plan: SignalPlan) -> None:
    """Phases that fill the cycle, with greens and clearances that suffice, are a plan."""
    assert codes(plan) == []


@given(right_plans(), st.sampled_from([-10.0, -0.1, 0.1, 5.0]))
def test_a_cycle_that_is_not_filled_is_named(plan: SignalPlan, more: float) -> None:
    """A tenth of a second too much or too little is a fault, with the sum and the cycle told."""
    wrong = replace(plan, cycle=plan.cycle + more, offset=None)
    assert codes(wrong) == ["plan_cycle_mismatch"]
    assert faults_of(wrong)[0].parameters == {"sum": plan.phases_sum, "cycle": wrong.cycle}


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"green": 4.0, "yellow": 6.0, "all_red": 2.0}, "plan_green_short"),
        ({"green": 7.0, "minimum_green": 8.0, "yellow": 3.0, "all_red": 2.0}, "plan_green_short"),
        ({"green": 7.0, "yellow": 2.0, "all_red": 3.0}, "plan_yellow_wrong"),
        ({"green": 5.0, "yellow": 7.0, "all_red": 0.0}, "plan_yellow_wrong"),
        ({"green": 5.0, "yellow": 0.0, "all_red": 7.0}, "plan_yellow_wrong"),
        ({"green": 7.0, "yellow": 3.0, "all_red": 2.0, "red": 71.0}, "plan_red_mismatch"),
        ({"green": 10.0, "yellow": 3.0, "all_red": -1.0}, "plan_time_negative"),
    ],
)
def test_each_fault_has_its_name(change: dict[str, float], code: str) -> None:
    """Short greens, wrong clearances, reds that do not fit and negative times are told apart."""
    first, second = Phase(name="A", green=63.0, yellow=3.0, all_red=2.0), Phase(name="B", green=7.0, yellow=3.0, all_red=2.0)
    plan = SignalPlan(intersection="X", phases=(first, second), cycle=80.0)
    assert codes(plan) == []
    assert codes(replace(plan, phases=(first, replace(second, **change))))[0] == code


@pytest.mark.parametrize(("offset", "is_right"), [(0.0, True), (79.0, True), (80.0, False), (-1.0, False)])
def test_an_offset_lies_within_the_cycle(offset: float, is_right: bool) -> None:
    """An offset is at least 0 and below the cycle."""
    phase = Phase(name="A", green=37.0, yellow=3.0)
    plan = SignalPlan(intersection="X", phases=(phase, replace(phase, name="B")), cycle=80.0, offset=offset)
    assert (codes(plan) == []) is is_right


@given(right_plans(), st.data())
def test_moving_green_keeps_the_cycle(plan: SignalPlan, data: st.DataObject) -> None:
    """What one phase gets another gives, stated reds follow, and the plan stays right."""
    left_out = data.draw(st.booleans())
    reds = [plan.red_of(phase) - left_out * phase.all_red for phase in plan.phases]
    plan = replace(plan, phases=tuple(replace(phase, red=red) for phase, red in zip(plan.phases, reds, strict=True)))
    giver = data.draw(st.integers(0, len(plan.phases) - 1))
    receiver = data.draw(st.sampled_from([place for place in range(len(plan.phases)) if place != giver]))
    seconds = data.draw(st.integers(0, int(plan.phases[giver].green - 5)))
    after = moved_green(plan, receiver, giver, seconds)
    assert codes(after) == [] and after.cycle == plan.cycle
    assert after.phases[receiver].green == pytest.approx(plan.phases[receiver].green + seconds)


def test_green_below_the_minimum_is_not_given() -> None:
    """A phase does not give what would take it below its minimum green."""
    phase = Phase(name="A", green=37.0, yellow=3.0, minimum_green=30.0)
    plan = SignalPlan(intersection="X", phases=(phase, replace(phase, name="B")), cycle=80.0)
    with pytest.raises(ValueError, match="minimum"):
        moved_green(plan, 0, 1, 8)


def test_the_change_that_lengthens_the_cycle_is_found() -> None:
    """G40-Y3-R37 changed into G55-Y3-R32 does not fit a cycle of 80 s."""
    first = Phase(name="A", green=40.0, yellow=3.0, red=37.0)
    plan = SignalPlan(intersection="X", phases=(first, Phase(name="B", green=34.0, yellow=3.0, red=43.0)), cycle=80.0)
    assert codes(plan) == []
    assert codes(replace(plan, phases=(replace(first, green=55.0, red=32.0), plan.phases[1]))) == [
        "plan_cycle_mismatch",
        "plan_red_mismatch",
    ]
