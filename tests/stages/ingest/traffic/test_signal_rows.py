"""Rows about signal plans: every figure in them is computed again here, from fractions and not by the appliance's own formulas."""

from __future__ import annotations

from fractions import Fraction

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from appliance.domain.conversation import Conversation
from appliance.domain.signal_plan import Phase, SignalPlan
from appliance.stages.ingest.traffic import signal_rows
from tests.stages.ingest.traffic.arithmetic import count_equations, figures_after, lamp_sums, wrong_equations

NAMES = ("东西直行", "东西左转", "南北直行", "南北左转", "东西右转", "行人专用")


@st.composite
def plans(draw: st.DrawFn) -> SignalPlan:
    """Right plans of one to six phases, in whole or half seconds, with and without flows, reds, minimums and offset."""
    has_flows, reds, has_minimums = draw(st.booleans()), draw(st.sampled_from(["none", "all", "without all-red"])), draw(st.booleans())
    phases = [
        Phase(
            name=name,
            green=draw(st.integers(12, 160)) / 2,
            yellow=draw(st.sampled_from([3.0, 3.5, 4.0])),
            all_red=draw(st.sampled_from([0.0, 1.0, 2.0])),
            minimum_green=draw(st.sampled_from([5.0, 6.0])) if has_minimums else None,
            flow=float(draw(st.integers(1, 1500))) if has_flows else None,
            saturation_flow=float(draw(st.integers(800, 4000))) if has_flows else None,
        )
        for name in NAMES[: draw(st.integers(1, 6))]
    ]
    cycle = sum(phase.length for phase in phases)
    if reds != "none":
        left_out = reds == "without all-red"
        phases = [replace(one, red=cycle - one.green - one.yellow - left_out * one.all_red) for one in phases]
    offset = draw(st.none() | st.integers(0, int(cycle) - 1).map(float))
    name = draw(st.sampled_from(["", "早高峰", "平峰"]))
    return SignalPlan(
        intersection=draw(st.sampled_from(["中山路口", "解放路-人民路"])), name=name, phases=tuple(phases), cycle=cycle, offset=offset
    )


def by_task(rows: list[Conversation], task: str) -> list[tuple[str, str]]:
    """Questions and answers of one task."""
    return [(one.messages[0].content, one.messages[1].content) for one in rows if one.labels["task"] == task]


def rows_of(plan: SignalPlan) -> list[Conversation]:
    """Everything that a plan gives."""
    return list(signal_rows.rows_of(plan, "plans.csv:2"))


@given(plans())
def test_the_arithmetic_in_answers_is_right(plan: SignalPlan) -> None:
    """Every sum, product and quotient that an answer writes out holds to its last figure."""
    answers = [one.messages[1].content for one in rows_of(plan)]
    assert sum(map(count_equations, answers)) >= 2
    for answer in answers:
        assert wrong_equations(answer) == [], answer


@given(plans())
def test_lamps_fill_the_cycle(plan: SignalPlan) -> None:
    """Lamps that an answer recommends add up to the cycle; the only others are quoted from a proposal that the answer refuses."""
    cycle = Fraction(plan.cycle)
    for one in rows_of(plan):
        question, answer = (message.content for message in one.messages)
        assert all(total == cycle for total in lamp_sums(answer))
        if one.labels.get("class") == "cycle_changed":
            before, after = lamp_sums(question)
            assert before == cycle != after and answer.startswith("不可以")
        if one.labels.get("class") == "cycle_kept":
            assert set(lamp_sums(question)) == {cycle} and "周期不变" in answer


@given(plans())
def test_an_adjusted_plan_keeps_cycle_and_minimums(plan: SignalPlan) -> None:
    """A plan that an answer writes out has the same phases, the same cycle and no green below its minimum."""
    for _question, answer in by_task(rows_of(plan), "signal_adjust"):
        if "调整后：" not in answer:
            continue
        lines = [line for line in answer.splitlines() if line.startswith("- ")]
        assert len(lines) == len(plan.phases)
        greens = [figures_after(line, "绿灯")[0] for line in lines]
        clearances = [figures_after(line, label)[0] for line in lines for label in ("黄灯", "全红")]
        assert sum(greens) + sum(clearances) == Fraction(plan.cycle)
        assert all(green >= Fraction(phase.least_green) for green, phase in zip(greens, plan.phases, strict=True))


@given(plans())
def test_splits_and_reds_are_recomputed(plan: SignalPlan) -> None:
    """An explanation states the split and the red of every phase."""
    ((_, answer),) = by_task(rows_of(plan), "signal_explain")
    splits, reds = figures_after(answer, "绿信比"), figures_after(answer, "本相位的红灯（含全红）为")
    for phase, split, red in zip(plan.phases, splits, reds, strict=True):
        assert abs(split - Fraction(phase.green) / Fraction(plan.cycle)) <= Fraction(1, 2000)
        assert red == Fraction(plan.cycle) - Fraction(phase.green) - Fraction(phase.yellow)


@given(plans())
def test_flows_give_degrees_of_saturation(plan: SignalPlan) -> None:
    """Capacities, degrees of saturation, Y and Webster's cycle are those of fractions; without flows nobody asks for them."""
    found = by_task(rows_of(plan), "signal_capacity")
    assert bool(found) == (plan.phases[0].flow is not None)
    if not found:
        return
    cycle = Fraction(plan.cycle)
    exact = [(Fraction(one.flow or 0), Fraction(one.saturation_flow or 1), Fraction(one.green)) for one in plan.phases]
    total = sum(flow / saturation for flow, saturation, _ in exact)
    lost = sum(Fraction(one.yellow) + Fraction(one.all_red) for one in plan.phases)
    for _, answer in found:
        if "通行能力 c =" in answer:
            shown = figures_after(answer, "X =")[: len(exact)]
            assert all(abs(x - q / (s * g / cycle)) <= Fraction(1, 2000) for x, (q, s, g) in zip(shown, exact, strict=True))
        elif "合计 Y" in answer:
            assert abs(figures_after(answer, "合计 Y =")[0] - total) <= Fraction(1, 2000)
            if "C₀ = (1.5 L + 5) ÷ (1 − Y) = " in answer:
                assert abs(figures_after(answer, "≈")[0] - (Fraction(3, 2) * lost + 5) / (1 - total)) <= Fraction(1, 20)
            else:
                assert total > Fraction(94, 100) and "不再适用" in answer


@given(plans(), st.sampled_from([-7.0, 4.0, 13.0]))
def test_a_wrong_plan_gives_only_its_check(plan: SignalPlan, more: float) -> None:
    """A plan whose phases do not fill the cycle gives one row, whose answer states both figures and their difference."""
    assume(plan.cycle + more > 10)
    wrong = replace(plan, cycle=plan.cycle + more, phases=tuple(replace(one, red=None) for one in plan.phases), offset=None)
    (only,) = rows_of(wrong)
    answer = only.messages[1].content
    assert only.labels == {"task": "signal_check", "class": "cycle_mismatch"}
    assert figures_after(answer, "与周期") == [Fraction(wrong.cycle)]
    assert figures_after(answer, "少" if more > 0 else "多") == [abs(Fraction(more))]
    assert "不能下发" in answer and wrong_equations(answer) == []


@given(plans())
def test_a_right_plan_passes_its_check(plan: SignalPlan) -> None:
    """The check of a right plan says so and names no error."""
    ((_, answer),) = by_task(rows_of(plan), "signal_check")
    assert "可以使用" in answer and "不符" not in answer


@settings(max_examples=30)
@given(plans(), plans())
def test_wordings_depend_on_content_alone(plan: SignalPlan, other: SignalPlan) -> None:
    """The same plan gives the same rows wherever it stands; only the source differs."""
    again = [one.messages for one in signal_rows.rows_of(plan, "elsewhere.xlsx:Sheet1:9")]
    assert again == [one.messages for one in rows_of(plan)]
    assert plan == other or again != [one.messages for one in rows_of(other)]


def test_questions_are_not_all_the_same() -> None:
    """Over many plans each kind of question comes in several wordings."""
    openings = set()
    for green in range(20, 60):
        phases = tuple(Phase(name=name, green=float(green), yellow=3.0) for name in NAMES[:2])
        rows = rows_of(SignalPlan(intersection="X", phases=phases, cycle=2.0 * (green + 3)))
        openings.add(by_task(rows, "signal_explain")[0][0].splitlines()[0])
    assert len(openings) == len(signal_rows.EXPLAIN)
