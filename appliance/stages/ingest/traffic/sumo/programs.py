"""``tlLogic``: signal programs, in a network or in an additional file.

Format: sumo.dlr.de/docs/Simulation/Traffic_Lights. A fixed-time program whose states follow each other as green, yellow and all-red becomes
a signal plan, with all rows that plans have.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.domain.signal_plan import Phase, SignalPlan
from appliance.stages.ingest.refusal import Refused, rejected
from appliance.stages.ingest.traffic import figures, signal_rows
from appliance.stages.ingest.traffic.sumo.reading import Made, figure, positive, text
from appliance.stages.ingest.traffic.sumo.xml_stream import Element
from appliance.stages.ingest.traffic.wording import chosen, row

MOST_STATES = 100
LONGEST_STATE = 200
"""Signals of one program that a question can show."""
FIXED = frozenset({"", "static"})
"""Types of programs whose durations are what happens; of the others they are only where a state begins to be judged."""

EXPLAIN = (
    "请解释这段 SUMO 信号程序（tlLogic）。",
    "下面的 tlLogic 是怎样放行的？",
    "说明这个 SUMO 信号机的程序：周期、各状态的时长和作用。",
)


class State(NamedTuple):
    """One ``phase`` element."""

    duration: Decimal
    signals: str
    shortest: Decimal | None
    longest: Decimal | None

    @property
    def kind(self) -> str:
        """``yellow`` where any signal is yellow, ``green`` where one is green, else ``all_red``."""
        if set(self.signals) & set("yYu"):
            return "yellow"
        return "green" if set(self.signals) & set("Gg") else "all_red"


KINDS = {"green": "放行", "yellow": "黄灯过渡", "all_red": "全红"}


class Programs:
    """Every program gives its rows as soon as it ends."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._program: Element | None = None
        self._states: list[State] = []
        self._refused: Refused | None = None

    def begin(self, element: Element) -> None:
        """A program or one of its states."""
        if element.name == "tlLogic":
            self._program, self._states, self._refused = element, [], None
        elif element.name == "phase" and self._program is not None and self._refused is None:
            try:
                self._states.append(_state(element))
                if len(self._states) > MOST_STATES:
                    raise Refused("sumo_program_too_long", limit=MOST_STATES)
            except Refused as verdict:
                self._refused = verdict

    def end(self, element: Element) -> Made:
        """The end of a program; it is refused whole when one of its states was."""
        if element.name != "tlLogic" or self._program is None:
            return ()
        program, self._program = self._program, None
        if self._refused is not None:
            raise self._refused
        if not self._states:
            raise Refused("sumo_program_empty", program=text(program, "id"))
        return self._rows(program, list(self._states))

    def finish(self) -> Made:
        """Nothing is left."""
        return ()

    def _rows(self, program: Element, states: list[State]) -> Iterator[Conversation | Rejected]:
        source = f"{self._source}:{program.line}"
        yield _explained(program, states, source)
        plan = plan_of(program, states)
        if plan is None:
            return
        verdict = signal_rows.refusal_of(plan)
        if verdict is not None:
            yield rejected(verdict, program.line, 0, text(program, "id").encode())
        yield from signal_rows.rows_of(plan, source)


def plan_of(program: Element, states: list[State]) -> SignalPlan | None:
    """The plan of a fixed-time program; None for other types and for states that do not follow each other as a plan's do.

    An offset beyond the cycle is written as the same one below it, which is what SUMO does with it.
    """
    if program.attributes.get("type", "") not in FIXED or states[0].kind != "green":
        return None
    phases: list[dict[str, float]] = []
    before = "all_red"
    for state in states:
        order = {("green", "yellow"), ("yellow", "all_red"), ("yellow", "green"), ("all_red", "green")}
        if (before, state.kind) not in order:
            return None
        if state.kind == "green":
            phases.append({"green": 0.0, "yellow": 0.0, "all_red": 0.0})
        phases[-1][state.kind] = float(state.duration)
        before = state.kind
    cycle = sum((state.duration for state in states), Decimal(0))
    if before == "green" or not cycle:
        return None
    return SignalPlan(
        intersection=f"SUMO 信号机 {text(program, 'id')}",
        name=f"程序 {text(program, 'programID')}" if program.attributes.get("programID") else "",
        phases=tuple(Phase(name=f"P{place}", **times) for place, times in enumerate(phases, 1)),
        cycle=float(cycle),
        offset=float(figure(program, "offset")) % float(cycle) if "offset" in program.attributes else None,
    )


def _state(element: Element) -> State:
    signals = element.attributes.get("state", "")
    if not 0 < len(signals) <= LONGEST_STATE or not signals.isascii() or not signals.isalpha():
        raise Refused("sumo_state_wrong", limit=LONGEST_STATE)
    limits = [positive(element, name) if name in element.attributes else None for name in ("minDur", "maxDur")]
    return State(positive(element, "duration"), signals, *limits)


def _explained(program: Element, states: list[State], source: str) -> Conversation:
    kind = text(program, "type") if program.attributes.get("type") else "static"
    offset = figures.plain(figure(program, "offset")) if "offset" in program.attributes else "0"
    is_fixed = kind in FIXED
    cycle = sum((state.duration for state in states), Decimal(0))
    lines = [f'<tlLogic id="{text(program, "id")}" type="{kind}" offset="{offset}">']
    for state in states:
        limits = "".join(
            f' {name}="{figures.plain(value)}"'
            for name, value in (("minDur", state.shortest), ("maxDur", state.longest))
            if value is not None
        )
        lines.append(f'    <phase duration="{figures.plain(state.duration)}"{limits} state="{state.signals}"/>')
    lines.append("</tlLogic>")
    answer = [
        f"信号机 {text(program, 'id')} 控制 {len(states[0].signals)} 个信号（连接），程序有 {len(states)} 个状态。"
        + (f"定时控制，周期 {figures.seconds(cycle)}：" if is_fixed else "这不是定时控制，duration 只是初值，实际时长由检测结果决定：")
    ]
    for place, state in enumerate(states, 1):
        green = [str(index) for index, signal in enumerate(state.signals) if signal in "Gg"]
        limits = (
            ""
            if state.shortest is None or state.longest is None
            else f"（{figures.plain(state.shortest)} 至 {figures.seconds(state.longest)}）"
        )
        moving = f"，{len(green)} 个信号为绿灯（序号 {'、'.join(green)}）" if green else ""
        answer.append(f"{place}. {figures.seconds(state.duration)}{limits}：{KINDS[state.kind]}{moving}。")
    question = f"{chosen(EXPLAIN, *lines)}\n\n" + "\n".join(lines)
    return row(question, "\n".join(answer), source, {"task": "sumo_scene"})
