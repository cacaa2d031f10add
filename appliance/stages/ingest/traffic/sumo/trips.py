"""``tripinfo``: what every vehicle's trip was like. Averages are of the trips that arrived; the others are counted.

Format: sumo.dlr.de/docs/Simulation/Output/TripInfo. An arrival below 0 is a vehicle that was still under way when the simulation ended.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from appliance.domain.conversation import Conversation
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.sumo.reading import Made, Sample, figure, positive, text
from appliance.stages.ingest.traffic.sumo.xml_stream import Element
from appliance.stages.ingest.traffic.wording import chosen, number, row

SAMPLED = 30
"""Trips that get a question of their own."""
MOST_DURATIONS = 100_000
"""Different durations that are kept for the median; a simulation that has more gets none."""

SUMS = {
    "duration": "行程时间合计", "routeLength": "行驶里程合计", "waitingTime": "等待时间合计", "timeLoss": "时间损失合计",
    "departDelay": "出发延误合计",
}  # fmt: skip
"""Attribute → what its sum is called. ``timeLoss`` and ``departDelay`` are missing in some files; their sums are then, too."""
NEEDED = ("duration", "routeLength", "waitingTime")

DESCRIBE = (
    "请根据这次 SUMO 仿真的行程统计（tripinfo），计算平均值并描述运行状况。",
    "下面是仿真输出 tripinfo 的合计。车辆平均行程时间、平均速度和等待情况如何？",
    "用下列合计数据写一段仿真结果说明，给出平均行程时间、平均速度和等待占比。",
)
SPEED = ("这辆车全程的平均速度是多少？", "请计算该车的平均行程速度，用 km/h 表示。", "平均速度多少？")
WAIT = ("等待时间占行程时间的百分之几？", "这辆车有多大比例的时间在等待？")


class _Trip(NamedTuple):
    name: str
    values: dict[str, Decimal]
    line: int


class Trips:
    """Adds up the trips of a file."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._arrived = 0
        self._under_way = 0
        self._sums = dict.fromkeys(SUMS, Decimal(0))
        self._present: Counter[str] = Counter()
        self._durations: Counter[Decimal] | None = Counter()
        self._sample: Sample[_Trip] = Sample(SAMPLED, "trips")

    def begin(self, element: Element) -> None:
        """A trip; other elements of the file (persons, containers) are passed over."""
        if element.name != "tripinfo":
            return
        if figure(element, "arrival") < 0:
            self._under_way += 1
            return
        vehicle = text(element, "id")
        values = {name: positive(element, name) for name in SUMS if name in NEEDED or name in element.attributes}
        self._arrived += 1
        for name, value in values.items():
            self._sums[name] += value
            self._present[name] += 1
        if self._durations is not None:
            self._durations[values["duration"]] += 1
            if len(self._durations) > MOST_DURATIONS:
                self._durations = None
        if values["duration"]:
            self._sample.add(vehicle, _Trip(vehicle, values, element.line))

    def end(self, _element: Element) -> Made:
        """Nothing is made before the last trip is known."""
        return ()

    def finish(self) -> Iterator[Conversation]:
        """A description of the whole, then questions about some trips."""
        if not self._arrived or not self._sums["duration"]:
            return
        yield self._description()
        for trip in self._sample:
            yield self._trip(trip)

    def _description(self) -> Conversation:
        sums = {name: total for name, total in self._sums.items() if self._present[name] == self._arrived}
        facts = [f"到达车辆：{self._arrived} 辆"]
        if self._under_way:
            facts.append(f"仿真结束时仍在路上：{self._under_way} 辆（不计入下列合计）")
        for name, total in sums.items():
            facts.append(f"{SUMS[name]}：{figures.metres(total) if name == 'routeLength' else figures.seconds(total)}")
        if self._durations is not None:
            middle, high = (self._percentile(self._durations, share) for share in (Decimal("0.5"), Decimal("0.95")))
            longest = max(self._durations)
            facts.append(f"行程时间：中位数 {figures.seconds(middle)}，95 百分位 {figures.seconds(high)}，最长 {figures.seconds(longest)}")
        time, count = sums["duration"], self._arrived
        answer = [
            (
                f"共有 {count} 辆车到达，平均行程时间 {figures.seconds(time / count)}，"
                f"平均行驶里程 {figures.metres(sums['routeLength'] / count)}，"
                f"平均速度 {figures.kilometres_per_hour(sums['routeLength'] / time)}（总里程 ÷ 总时间）。"
            ),
            f"平均等待 {figures.seconds(sums['waitingTime'] / count)}，占行程时间的 {figures.percent(sums['waitingTime'] / time)}。",
        ]
        if "timeLoss" in sums:
            answer.append(
                f"平均时间损失 {figures.seconds(sums['timeLoss'] / count)}，占行程时间的 {figures.percent(sums['timeLoss'] / time)}。"
            )
        if "departDelay" in sums:
            answer.append(f"平均出发延误 {figures.seconds(sums['departDelay'] / count)}。")
        if self._under_way:
            share = Decimal(self._under_way) / (self._under_way + count)
            answer.append(f"另有 {self._under_way} 辆车在仿真结束时未到达，占 {figures.percent(share)}，平均值不含这些车辆。")
        question = f"{chosen(DESCRIBE, *facts)}\n\n" + "\n".join(facts)
        return row(question, "".join(answer), f"{self._source}:1", {"task": "sumo_scene"})

    def _percentile(self, durations: Counter[Decimal], share: Decimal) -> Decimal:
        """The smallest duration that at least this share of the trips does not exceed (nearest rank)."""
        rank, passed = share * self._arrived, 0
        for duration in sorted(durations):
            passed += durations[duration]
            if passed >= rank:
                return duration
        raise AssertionError("the last duration reaches every rank")

    def _trip(self, trip: _Trip) -> Conversation:
        values = trip.values
        time, length, waiting = values["duration"], values["routeLength"], values["waitingTime"]
        shown = (
            f"SUMO 行程记录：车辆 {trip.name}，行程时间 duration={figures.plain(time)} s，里程 routeLength={figures.plain(length)} m，"
            f"等待时间 waitingTime={figures.plain(waiting)} s"
        )
        shown += f"，时间损失 timeLoss={figures.plain(values['timeLoss'])} s。" if "timeLoss" in values else "。"
        if number("trip", trip.name, shown) % 3:
            asked = chosen(SPEED, trip.name, shown)
            answer = (
                f"平均速度 = 里程 ÷ 行程时间 = {figures.plain(length)} m ÷ {figures.plain(time)} s = {figures.plain(length / time)} m/s，"
                f"合 {figures.kilometres_per_hour(length / time)}。"
            )
        else:
            asked = chosen(WAIT, trip.name, shown)
            answer = f"{figures.plain(waiting)} ÷ {figures.plain(time)} = {figures.percent(waiting / time)}。"
        return row(f"{shown}{asked}", answer, f"{self._source}:{trip.line}", {"task": "sumo_question"})
