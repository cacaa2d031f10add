"""``edgedata`` (meandata): measures of every edge, interval by interval.

Format: sumo.dlr.de/docs/Simulation/Output/Lane-_or_Edge-based_Traffic_Measures. ``sampledSeconds`` is the time that vehicles spent on an edge
in the interval, ``speed`` their mean speed in m/s, so that speed × sampledSeconds is the distance driven.
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

DESCRIBE = ("请根据 SUMO 路段统计（edgedata）描述这一时段的路网运行。", "下面是一个时段的路段统计，请写一段路况说明。", "这一时段路网运行如何？")
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


class EdgeMeasures:
    """Every interval gives its rows as soon as it ends."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._interval: Element | None = None
        self._length = Decimal(0)
        self._start("")

    def begin(self, element: Element) -> None:
        """An interval or an edge; an edge without traffic is counted."""
        if element.name == "interval":
            self._interval, self._length = None, figure(element, "end") - figure(element, "begin")
            self._start(text(element, "begin"))
            self._interval = element
        elif element.name == "edge" and self._interval is not None:
            self._edges += 1
            seconds = positive(element, "sampledSeconds")
            if not seconds or "speed" not in element.attributes:
                return
            edge = Edge(
                text(element, "id"),
                seconds,
                positive(element, "speed"),
                count(element, "left"),
                positive(element, "waitingTime"),
                element.line,
            )
            self._driven += 1
            self._seconds += seconds
            self._distance += edge.speed * seconds
            self._waiting += edge.waiting
            if self._slowest is None or edge.speed < self._slowest.speed:
                self._slowest = edge
            if self._busiest is None or edge.left > self._busiest.left:
                self._busiest = edge
            self._sample.add(edge.name, edge)

    def end(self, element: Element) -> Made:
        """The end of an interval; one in which nobody drove gives nothing."""
        if element.name != "interval" or self._interval is None:
            return ()
        interval, self._interval = self._interval, None
        return list(self._rows(interval)) if self._driven and self._length > 0 else ()

    def finish(self) -> Made:
        """Nothing is left."""
        return ()

    def _start(self, begin: str) -> None:
        self._edges = self._driven = 0
        self._seconds = self._distance = self._waiting = Decimal(0)
        self._slowest: Edge | None = None
        self._busiest: Edge | None = None
        self._sample: Sample[Edge] = Sample(SAMPLED, f"edges {begin}")

    def _rows(self, interval: Element) -> Iterator[Conversation]:
        yield self._description(interval)
        edges = list(self._sample)
        if len(edges) > 1:
            yield self._table(interval, edges)

    def _when(self, interval: Element) -> str:
        return f"{figures.plain(figure(interval, 'begin'))} s 至 {figures.plain(figure(interval, 'end'))} s"

    def _description(self, interval: Element) -> Conversation:
        assert self._slowest is not None and self._busiest is not None
        slowest, busiest = self._slowest, self._busiest
        facts = [
            f"时段：{self._when(interval)}",
            f"路段：{self._edges} 条，其中有车通过的 {self._driven} 条",
            f"车辆在路段上的时间合计：{figures.seconds(self._seconds)}，行驶距离合计：{figures.metres(self._distance)}",
            f"等待时间合计：{figures.seconds(self._waiting)}",
            f"平均速度最低的路段：{slowest.name}，{figures.plain(slowest.speed)} m/s",
            f"驶离车辆最多的路段：{busiest.name}，{busiest.left} 辆",
        ]
        hourly = Decimal(3600) * busiest.left / self._length
        answer = (
            f"{self._when(interval)}，{self._edges} 条路段中有 {self._driven} 条有车通过，占 {figures.percent(Decimal(self._driven) / self._edges)}。"
            f"路网平均速度 {figures.kilometres_per_hour(self._distance / self._seconds)}（总距离 ÷ 总时间），等待时间占在途时间的 "
            f"{figures.percent(self._waiting / self._seconds)}。最拥堵的是 {slowest.name}，平均速度只有 "
            f"{figures.kilometres_per_hour(slowest.speed)}；{busiest.name} 驶离车辆最多，{busiest.left} 辆，折合 {figures.vehicles_per_hour(hourly)}。"
        )
        question = f"{chosen(DESCRIBE, *facts)}\n\n" + "\n".join(facts)
        return row(question, answer, f"{self._source}:{interval.line}", {"task": "sumo_scene"})

    def _table(self, interval: Element, edges: list[Edge]) -> Conversation:
        lines = ["| 路段 | 平均速度/(m/s) | 驶离/辆 | 等待时间/s |", "| --- | --- | --- | --- |"]
        lines += [f"| {one.name} | {figures.plain(one.speed)} | {one.left} | {figures.plain(one.waiting)} |" for one in edges]
        speed, left = min(one.speed for one in edges), max(one.left for one in edges)
        slowest = "、".join(one.name for one in edges if one.speed == speed)
        busiest = "、".join(one.name for one in edges if one.left == left)
        length = figures.plain(self._length)
        about_speed = (SLOWEST, f"{slowest} 的平均速度最低，{figures.plain(speed)} m/s，合 {figures.kilometres_per_hour(speed)}。")
        about_flow = (
            BUSIEST,
            f"{busiest} 驶离 {left} 辆，最多；时段长 {length} s，折合 {left} × 3600 ÷ {length} = "
            f"{figures.vehicles_per_hour(Decimal(3600) * left / self._length)}。",
        )
        wordings, answer = chosen((about_speed, about_flow), "edges", *lines)
        question = f"SUMO 路段统计，时段 {self._when(interval)}：\n\n" + "\n".join(lines) + f"\n\n{chosen(wordings, *lines)}"
        return row(question, answer, f"{self._source}:{edges[0].line}", {"task": "sumo_question"})
