"""``net.xml``: what a road network is made of. Signal programs in it are read by ``programs``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

from appliance.domain.conversation import Conversation
from appliance.stages.ingest.refusal import Refused
from appliance.stages.ingest.traffic import figures
from appliance.stages.ingest.traffic.sumo.reading import Made, Sample, positive, text
from appliance.stages.ingest.traffic.sumo.xml_stream import Element
from appliance.stages.ingest.traffic.wording import chosen, row

SAMPLED = 30
"""Edges, and junctions with signals, that get a question of their own."""
MOST_LANES = 60
"""Incoming lanes of a junction that can be shown in a question."""
JUNCTION_KINDS = {
    "traffic_light": "信号控制", "priority": "主路优先", "right_before_left": "右侧先行", "unregulated": "无管制",
    "priority_stop": "停车让行", "allway_stop": "全向停车", "dead_end": "尽头", "rail_crossing": "铁路道口", "zipper": "交替通行",
}  # fmt: skip
"""Junction types (sumo.dlr.de/docs/Networks/PlainXML) in Chinese; variants of ``traffic_light`` count with it, others keep their name."""

DESCRIBE = ("请根据统计描述这个 SUMO 路网。", "下面是一个仿真路网的统计，请用文字说明它的规模和特点。", "请把以下路网数据写成一段说明。")
CROSS = ("以自由流速度通过这条路段需要多长时间？", "按限速匀速行驶，通过这条路段要多少秒？限速合多少 km/h？")
COUNT = ("这个路口有几个进口、几条进口车道？", "请数一数这个信号路口的进口道和进口车道。")


class _Edge(NamedTuple):
    name: str
    begin: str
    end: str
    lanes: int
    length: Decimal
    speed: Decimal
    line: int


class Network:
    """Counts edges, lanes and junctions; internal edges (those inside junctions), crossings and walking areas are not counted."""

    def __init__(self, source: str) -> None:
        self._source = source
        self._edge: Element | None = None
        self._lanes: list[tuple[Decimal, Decimal]] = []
        self._edges = 0
        self._lane_count = 0
        self._length = Decimal(0)
        self._lane_length = Decimal(0)
        self._speeds: Counter[Decimal] = Counter()
        self._kinds: Counter[str] = Counter()
        self._bounds: list[Decimal] = []
        self._sample: Sample[_Edge] = Sample(SAMPLED, "edges")
        self._signals: Sample[tuple[str, list[str], int]] = Sample(SAMPLED, "junctions")

    def begin(self, element: Element) -> None:
        """An edge, a lane, a junction or the location."""
        if element.name == "edge" and element.attributes.get("function", "normal") in {"normal", "connector"}:
            self._edge, self._lanes = element, []
        elif element.name == "lane" and self._edge is not None:
            self._lanes.append((positive(element, "length"), positive(element, "speed")))
        elif element.name == "junction":
            self._junction(element)
        elif element.name == "location" and "convBoundary" in element.attributes:
            corners = element.attributes["convBoundary"].split(",")
            self._bounds = [Decimal(corner) for corner in corners] if len(corners) == 4 and all(map(_is_plain, corners)) else []

    def end(self, element: Element) -> Made:
        """The end of an edge."""
        if element.name == "edge" and self._edge is not None:
            edge, self._edge = self._edge, None
            if not self._lanes:
                raise Refused("sumo_edge_without_lanes", edge=text(edge, "id"))
            name, (length, speed) = text(edge, "id"), self._lanes[0]
            self._edges += 1
            self._lane_count += len(self._lanes)
            self._length += length
            self._lane_length += sum((lane_length for lane_length, _ in self._lanes), Decimal(0))
            self._speeds[max(lane_speed for _, lane_speed in self._lanes)] += 1
            begin, end = edge.attributes.get("from", ""), edge.attributes.get("to", "")
            if length and speed and begin and end:
                self._sample.add(name, _Edge(name, text(edge, "from"), text(edge, "to"), len(self._lanes), length, speed, edge.line))
        return ()

    def finish(self) -> Iterator[Conversation]:
        """A description of the whole, then questions about some edges and junctions."""
        if not self._edges:
            return
        yield self._description()
        for edge in self._sample:
            yield self._crossing(edge)
        for name, lanes, line in self._signals:
            yield self._counting(name, lanes, line)

    def _junction(self, element: Element) -> None:
        kind = text(element, "type")
        if kind == "internal":
            return
        kind = "traffic_light" if kind.startswith("traffic_light") else kind
        name = text(element, "id")
        self._kinds[kind] += 1
        lanes = element.attributes.get("incLanes", "").split()
        incoming = [lane for lane in lanes if not lane.startswith(":")]
        if kind == "traffic_light" and 0 < len(incoming) <= MOST_LANES:
            self._signals.add(name, (name, incoming, element.line))

    def _description(self) -> Conversation:
        speeds = sorted(self._speeds.items(), key=lambda item: (-item[1], item[0]))[:8]
        kinds = sorted(self._kinds.items(), key=lambda item: (-item[1], item[0]))[:8]
        facts = [
            f"路段：{self._edges} 条，合计 {figures.metres(self._length)}",
            f"车道：{self._lane_count} 条，合计 {figures.metres(self._lane_length)}",
            "限速（m/s）：" + "，".join(f"{figures.plain(speed)} 的 {count} 条" for speed, count in speeds),
            "节点：" + "，".join(f"{JUNCTION_KINDS.get(kind, kind)} {count} 个" for kind, count in kinds),
        ]
        if self._bounds:
            facts.append("坐标范围：" + "，".join(figures.plain(corner) for corner in self._bounds))
        junctions, signals = self._kinds.total(), self._kinds["traffic_light"]
        speed, count = speeds[0]
        answer = [
            (
                f"路网共有 {self._edges} 条路段、{self._lane_count} 条车道，路段总长 {figures.kilometres(self._length)}，车道总长 "
                f"{figures.kilometres(self._lane_length)}。平均每条路段长 {figures.metres(self._length / self._edges)}、"
                f"{figures.plain(Decimal(self._lane_count) / self._edges)} 条车道。"
            ),
            f"最常见的限速为 {figures.kilometres_per_hour(speed)}（{count} 条路段，占 {figures.percent(Decimal(count) / self._edges)}）。",
        ]
        if junctions:
            answer.append(f"共有 {junctions} 个节点，其中信号控制 {signals} 个，占 {figures.percent(Decimal(signals) / junctions)}。")
        if self._bounds:
            left, low, right, high = self._bounds
            answer.append(f"范围约 {figures.metres(right - left)} × {figures.metres(high - low)}。")
        question = f"{chosen(DESCRIBE, *facts)}\n\n" + "\n".join(facts)
        return row(question, "".join(answer), f"{self._source}:1", {"task": "sumo_scene"})

    def _crossing(self, edge: _Edge) -> Conversation:
        shown = (
            f"SUMO 路段 {edge.name}：从节点 {edge.begin} 到节点 {edge.end}，长 {figures.metres(edge.length)}，{edge.lanes} 条车道，"
            f"限速 {figures.plain(edge.speed)} m/s。"
        )
        answer = (
            f"{figures.plain(edge.length)} m ÷ {figures.plain(edge.speed)} m/s = {figures.seconds(edge.length / edge.speed, 1)}；"
            f"限速 {figures.plain(edge.speed)} m/s 合 {figures.kilometres_per_hour(edge.speed)}。"
        )
        return row(f"{shown}{chosen(CROSS, edge.name, shown)}", answer, f"{self._source}:{edge.line}", {"task": "sumo_question"})

    def _counting(self, name: str, lanes: list[str], line: int) -> Conversation:
        approaches = Counter(lane.rpartition("_")[0] for lane in lanes)
        shown = f"SUMO 信号路口 {name} 的进口车道（incLanes）：{' '.join(lanes)}。"
        parts = "，".join(f"{edge} {count} 条" for edge, count in approaches.items())
        answer = f"车道名去掉末尾的序号就是路段。共 {len(approaches)} 个进口、{len(lanes)} 条进口车道：{parts}。"
        return row(f"{shown}{chosen(COUNT, name, shown)}", answer, f"{self._source}:{line}", {"task": "sumo_question"})


def _is_plain(number: str) -> bool:
    return number.strip().lstrip("-").replace(".", "", 1).isdecimal() and len(number) < 20
