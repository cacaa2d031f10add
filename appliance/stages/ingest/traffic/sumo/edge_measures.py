"""``edgedata`` (meandata): measures of every edge, interval by interval.

Format: sumo.dlr.de/docs/Simulation/Output/Lane-_or_Edge-based_Traffic_Measures. ``sampledSeconds`` is the time that vehicles spent on an
edge in the interval, ``speed`` their mean speed in m/s, so that speed × sampledSeconds is the distance driven.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from appliance.domain.conversation import Conversation
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.sumo.reading import Made, Sample, count, figure, positive, text
from appliance.stages.ingest.traffic.sumo.xml_stream import Element
from appliance.stages.ingest.traffic.wording import chosen, row

SAMPLED = 8
"""Edges of an interval that a question shows."""

DESCRIBE = (
    "请根据 SUMO 路段统计（edgedata）描述这一时段的路网运行。",
    "下面是一个时段的路段统计，请写一段路况说明。",
    "这一时段路网运行如何？",
)
SLOWEST = ("表中哪条路段最拥堵（平均速度最低）？速度合多少 km/h？", "请指出平均速度最低的路段，并换算成 km/h。")
BUSIEST = ("表中哪条路段驶离的车辆最多？折合每小时多少辆？", "请找出驶离车辆数最多的路段，并折算成小时流量。")


class Edge(NamedTuple):
    """One ``edge`` element with traffic."""

    name: str
    seconds: Decimal
    speed: Decimal
    left: int
    waiting: Decimal
    line: int


class Interval:
    """What is added up between the start and the end of one ``interval`` element."""

    def __init__(self, element: Element) -> None:
        self.line = element.line
        self.begin, self.end = figure(element, "begin"), figure(element, "end")
        self.edges = self.driven = 0
        self.seconds = self.distance = self.waiting = Decimal(0)
        self.slowest: Edge | None = None
        self.busiest: Edge | None = None
        self.sample: Sample[Edge] = Sample(SAMPLED, f"edges {self.begin}")

    @property
    def length(self) -> Decimal:
        """Seconds."""
        return self.end - self.begin

    @property
    def when(self) -> str:
        """From when to when."""
        return f"{figures.plain(self.begin)} s 至 {figures.plain(self.end)} s"

    def add(self, element: Element) -> None:
        """Count an edge; one without traffic has nothing else to add."""
        seconds = positive(element, "sampledSeconds")
        if not seconds or "speed" not in element.attributes:
            self.edges += 1
            return
        speed, left, waiting = positive(element, "speed"), count(element, "left"), positive(element, "waitingTime")
        edge = Edge(text(element, "id"), seconds, speed, left, waiting, element.line)
        self.edges += 1
        self.driven += 1
        self.seconds += seconds
        self.distance += speed * seconds
        self.waiting += waiting
        if self.slowest is None or speed < self.slowest.speed:
            self.slowest = edge
        if self.busiest is None or left > self.busiest.left:
            self.busiest = edge
        self.sample.add(edge.name, edge)


class EdgeMeasures:
    """Every interval gives its rows as soon as it ends."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._interval: Interval | None = None

    def begin(self, element: Element) -> None:
        """An interval or an edge; the edges of an interval that is refused are passed over."""
        if element.name == "interval":
            self._interval = None
            self._interval = Interval(element)
        elif element.name == "edge" and self._interval is not None:
            self._interval.add(element)

    def end(self, element: Element) -> Made:
        """The end of an interval; one in which nobody drove gives nothing."""
        if element.name != "interval" or self._interval is None:
            return ()
        interval, self._interval = self._interval, None
        return self._rows(interval) if interval.driven and interval.length > 0 else ()

    def finish(self) -> Made:
        """Nothing is left."""
        return ()

    def _rows(self, interval: Interval) -> Iterator[Conversation]:
        yield self._description(interval)
        edges = list(interval.sample)
        if len(edges) > 1:
            yield self._table(interval, edges)

    def _description(self, interval: Interval) -> Conversation:
        slowest, busiest = interval.slowest, interval.busiest
        assert slowest is not None and busiest is not None
        facts = [
            f"时段：{interval.when}",
            f"路段：{interval.edges} 条，其中有车通过的 {interval.driven} 条",
            f"车辆在路段上的时间合计：{figures.seconds(interval.seconds)}，行驶距离合计：{figures.metres(interval.distance)}",
            f"等待时间合计：{figures.seconds(interval.waiting)}",
            f"平均速度最低的路段：{slowest.name}，{figures.plain(slowest.speed)} m/s",
            f"驶离车辆最多的路段：{busiest.name}，{busiest.left} 辆",
        ]
        hourly = Decimal(3600) * busiest.left / interval.length
        answer = (
            f"{interval.when}，{interval.edges} 条路段中有 {interval.driven} 条有车通过，"
            f"占 {figures.percent(Decimal(interval.driven) / interval.edges)}。"
            f"路网平均速度 {figures.kilometres_per_hour(interval.distance / interval.seconds)}（总距离 ÷ 总时间），"
            f"等待时间占在途时间的 {figures.percent(interval.waiting / interval.seconds)}。"
            f"最拥堵的是 {slowest.name}，平均速度只有 {figures.kilometres_per_hour(slowest.speed)}；"
            f"{busiest.name} 驶离车辆最多，{busiest.left} 辆，折合 {figures.vehicles_per_hour(hourly)}。"
        )
        question = f"{chosen(DESCRIBE, *facts)}\n\n" + "\n".join(facts)
        return row(question, answer, f"{self._source}:{interval.line}", {"task": "sumo_scene"})

    def _table(self, interval: Interval, edges: list[Edge]) -> Conversation:
        lines = ["| 路段 | 平均速度/(m/s) | 驶离/辆 | 等待时间/s |", "| --- | --- | --- | --- |"]
        lines += [f"| {one.name} | {figures.plain(one.speed)} | {one.left} | {figures.plain(one.waiting)} |" for one in edges]
        speed, left = min(one.speed for one in edges), max(one.left for one in edges)
        slowest = "、".join(one.name for one in edges if one.speed == speed)
        busiest = "、".join(one.name for one in edges if one.left == left)
        length = figures.plain(interval.length)
        about_speed = (SLOWEST, f"{slowest} 的平均速度最低，{figures.plain(speed)} m/s，合 {figures.kilometres_per_hour(speed)}。")
        about_flow = (
            BUSIEST,
            (
                f"{busiest} 驶离 {left} 辆，最多；时段长 {length} s，折合 {left} × 3600 ÷ {length} = "
                f"{figures.vehicles_per_hour(Decimal(3600) * left / interval.length)}。"
            ),
        )
        wordings, answer = chosen((about_speed, about_flow), "edges", *lines)
        question = f"SUMO 路段统计，时段 {interval.when}：\n\n" + "\n".join(lines) + f"\n\n{chosen(wordings, *lines)}"
        return row(question, answer, f"{self._source}:{edges[0].line}", {"task": "sumo_question"})
