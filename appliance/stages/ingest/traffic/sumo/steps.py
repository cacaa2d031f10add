"""``summary``: the state of the whole simulation at every step.

Format: sumo.dlr.de/docs/Simulation/Output/Summary. ``inserted`` and ``arrived`` count from the beginning, ``running`` and ``halting`` are
of the moment; ``meanSpeed`` is -1 while nobody drives.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from appliance.domain.conversation import Conversation
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.sumo.reading import Made, Sample, count, figure, positive
from appliance.stages.ingest.traffic.sumo.xml_stream import Element
from appliance.stages.ingest.traffic.wording import chosen, row

SAMPLED = 10
"""Steps that a question shows."""
TABLES = 6
"""Questions with different steps."""

DESCRIBE = (
    "请根据仿真过程统计（summary）描述这次 SUMO 仿真。",
    "下面是 SUMO summary 输出的要点，请写成一段说明。",
    "这次仿真的运行过程如何？请用数据说明。",
)
CROWDED = ("哪个时刻在网车辆最多？此时停驶车辆占多少？", "请找出表中在网车辆数最大的时刻，并计算停驶车辆的比例。")
SLOWEST = ("哪个时刻平均速度最低？合多少 km/h？", "请找出表中平均速度最低的时刻，速度用 km/h 表示。")


class Step(NamedTuple):
    """One ``step`` element."""

    time: Decimal
    inserted: int
    arrived: int
    running: int
    halting: int | None
    speed: Decimal | None
    """m/s; None while nobody drives or where the file does not say."""
    line: int


class Steps:
    """Follows a simulation."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._count = 0
        self._first: Step | None = None
        self._last: Step | None = None
        self._fullest: Step | None = None
        self._most_halting: Step | None = None
        self._running = 0
        self._driven: Decimal | None = Decimal(0)
        """Sum of mean speed × running vehicles over the steps in which somebody drives; None once a step did not say."""
        self._samples: list[Sample[Step]] = [Sample(SAMPLED, f"steps {place}") for place in range(TABLES)]

    def begin(self, element: Element) -> None:
        """A step."""
        if element.name != "step":
            return
        step = _step(element)
        self._count += 1
        self._first = self._first or step
        self._last = step
        if self._fullest is None or step.running > self._fullest.running:
            self._fullest = step
        if step.halting is not None and (self._most_halting is None or step.halting > (self._most_halting.halting or 0)):
            self._most_halting = step
        self._running += step.running
        if step.running and self._driven is not None:
            self._driven = None if step.speed is None else self._driven + step.speed * step.running
        if step.running and step.halting is not None and step.speed is not None:
            for sample in self._samples:
                sample.add(str(step.time), step)

    def end(self, _element: Element) -> Made:
        """Nothing is made before the last step is known."""
        return ()

    def finish(self) -> Iterator[Conversation]:
        """A description of the whole, then questions about some steps."""
        if self._fullest is None or not self._fullest.running:
            return
        yield self._description(self._fullest)
        for place, sample in enumerate(self._samples):
            if len(sample) > 1:
                yield self._table(list(sample), place)

    def _description(self, fullest: Step) -> Conversation:
        assert self._first is not None and self._last is not None
        first, last, halting = self._first, self._last, self._most_halting
        facts = [
            f"时段：{figures.plain(first.time)} s 至 {figures.plain(last.time)} s，共 {self._count} 步",
            f"进入路网：{last.inserted} 辆，到达：{last.arrived} 辆，结束时在网：{last.running} 辆",
            f"在网车辆最多：{figures.plain(fullest.time)} s 时 {fullest.running} 辆；各步在网车辆数合计 {self._running}",
        ]
        if halting is not None:
            facts.append(f"停驶车辆最多：{figures.plain(halting.time)} s 时 {halting.halting} 辆，当时在网 {halting.running} 辆")
        if self._driven is not None:
            facts.append(f"各步平均速度与在网车辆数乘积之和：{figures.plain(self._driven)} m/s")
        answer = [
            f"仿真从 {figures.plain(first.time)} s 到 {figures.plain(last.time)} s，历时 {figures.seconds(last.time - first.time)}。"
            f"共有 {last.inserted} 辆车进入路网，{last.arrived} 辆到达"
            + (f"，到达率 {figures.percent(Decimal(last.arrived) / last.inserted)}。" if last.inserted else "。"),
            (
                f"平均在网 {figures.plain(Decimal(self._running) / self._count, 1)} 辆，"
                f"最多时为 {figures.plain(fullest.time)} s 的 {fullest.running} 辆。"
            ),
        ]
        if halting is not None and halting.running:
            share = Decimal(halting.halting or 0) / halting.running
            answer.append(
                f"停驶车辆在 {figures.plain(halting.time)} s 最多，为 {halting.halting} 辆，占当时在网车辆的 {figures.percent(share)}。"
            )
        if self._driven is not None and self._running:
            answer.append(f"按车辆数加权的平均速度为 {figures.kilometres_per_hour(self._driven / self._running)}。")
        question = f"{chosen(DESCRIBE, *facts)}\n\n" + "\n".join(facts)
        return row(question, "".join(answer), f"{self._source}:1", {"task": "sumo_scene"})

    def _table(self, steps: list[Step], place: int) -> Conversation:
        lines = ["| 时刻/s | 在网/辆 | 停驶/辆 | 平均速度/(m/s) |", "| --- | --- | --- | --- |"]
        lines += [f"| {figures.plain(one.time)} | {one.running} | {one.halting} | {figures.plain(one.speed or 0)} |" for one in steps]
        if place % 2:
            asked = chosen(SLOWEST, *lines)
            speed = min(one.speed or Decimal(0) for one in steps)
            when = _times([one for one in steps if one.speed == speed])
            answer = f"{when}时平均速度最低，为 {figures.plain(speed)} m/s，合 {figures.kilometres_per_hour(speed)}。"
        else:
            asked = chosen(CROWDED, *lines)
            running = max(one.running for one in steps)
            fullest = [one for one in steps if one.running == running]
            shares = "；".join(
                f"{figures.plain(one.time)} s 时停驶 {one.halting} 辆，占 {one.halting} ÷ {running} = "
                f"{figures.percent(Decimal(one.halting or 0) / running)}"
                for one in fullest
            )
            answer = f"{_times(fullest)}时在网车辆最多，为 {running} 辆。{shares}。"
        question = "SUMO 仿真 summary 输出的若干时刻：\n\n" + "\n".join(lines) + f"\n\n{asked}"
        return row(question, answer, f"{self._source}:{steps[0].line}", {"task": "sumo_question"})


def _times(steps: list[Step]) -> str:
    return "、".join(f"{figures.plain(one.time)} s " for one in steps)


def _step(element: Element) -> Step:
    # Files of older versions count arrivals as ``ended`` alone.
    arrived = count(element, "arrived" if "arrived" in element.attributes else "ended")
    halting = count(element, "halting") if "halting" in element.attributes else None
    speed = figure(element, "meanSpeed") if "meanSpeed" in element.attributes else None
    speed = None if speed is not None and speed < 0 else speed
    inserted, running = count(element, "inserted"), count(element, "running")
    return Step(positive(element, "time"), inserted, arrived, running, halting, speed, element.line)
