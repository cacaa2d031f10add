"""Files that the real simulator has written; every expected figure is worked out here from ElementTree and fractions."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from statistics import median_low

import pytest

from tests.stages.ingest.conftest import Imported
from tests.stages.ingest.traffic.arithmetic import count_equations, wrong_equations
from tests.stages.ingest.traffic.conftest import Simulation

Import = Callable[..., Imported]


def near(text: str, pattern: str, exact: Fraction | int, decimals: int = 2) -> None:
    """The figure that a pattern finds is the exact one, rounded."""
    found = re.search(pattern, text)
    assert found, f"{pattern} is not in {text}"
    assert abs(Fraction(found[1]) - exact) <= Fraction(1, 2 * 10**decimals), f"{found[0]}, but it is {float(exact)}"


def answers(imported: Imported, task: str) -> list[tuple[str, str]]:
    """Questions and answers of one task."""
    return [(turns[0][1], turns[1][1]) for turns, row in zip(imported.turns, imported.rows, strict=True) if row["labels"]["task"] == task]


def edges_of(net: Path) -> Iterator[ET.Element]:
    """The edges between junctions."""
    return (edge for edge in ET.parse(net).getroot().iter("edge") if edge.get("function") != "internal")


@pytest.fixture
def imported(simulation: Simulation, import_bytes: Import) -> Callable[[str], Imported]:
    """``imported("trips")``: one of the simulation's files, recognised by its content."""

    def importing(which: str) -> Imported:
        path: Path = getattr(simulation, which)
        found = import_bytes(path.read_bytes(), path.name)
        assert found.facts["format"] == "sumo" and found.rejected == []
        return found

    return importing


def test_a_network_is_described(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """Edges, lanes, lengths, speed limits and junctions of the network are those of the file."""
    edges = list(edges_of(simulation.net))
    lengths = [Fraction(edge[0].get("length", "")) for edge in edges]
    lanes = [Fraction(lane.get("length", "")) for edge in edges for lane in edge.iter("lane")]
    junctions = Counter(one.get("type") for one in ET.parse(simulation.net).getroot().iter("junction") if one.get("type") != "internal")
    ((question, answer),) = [pair for pair in answers(imported("net"), "sumo_scene") if "路段总长" in pair[1]]
    near(answer, r"共有 (\d+) 条路段", len(edges))
    near(answer, r"、(\d+) 条车道，", len(lanes))
    near(answer, r"路段总长 ([\d.]+) km", sum(lengths, Fraction(0)) / 1000)
    near(answer, r"车道总长 ([\d.]+) km", sum(lanes, Fraction(0)) / 1000)
    near(answer, r"平均每条路段长 ([\d.]+) m", sum(lengths, Fraction(0)) / len(edges))
    near(answer, r"共有 (\d+) 个节点", junctions.total())
    near(answer, r"信号控制 (\d+) 个", junctions["traffic_light"])
    near(answer, r"限速为 ([\d.]+) km/h", Fraction(edges[0][0].get("speed", "")) * 18 / 5, 1)
    assert f"信号控制 {junctions['traffic_light']} 个" in question and junctions["traffic_light"] == 9


def test_signal_programs_become_plans(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """Each program of the network is explained, checked and adjusted; its cycle is the sum of its states."""
    programs = list(ET.parse(simulation.net).getroot().iter("tlLogic"))
    found = imported("net")
    explained = [pair for pair in answers(found, "sumo_scene") if "tlLogic id=" in pair[0]]
    assert len(explained) == len(programs) == len(answers(found, "signal_check")) == len(answers(found, "signal_explain")) > 0
    for program, (question, answer) in zip(programs, explained, strict=True):
        assert f'id="{program.get("id")}"' in question
        near(answer, r"周期 ([\d.]+) s", sum(Fraction(phase.get("duration", "")) for phase in program.iter("phase")))
        near(answer, r"控制 (\d+) 个信号", len(program[0].get("state", "")))
        greens = [sum(signal in "Gg" for signal in phase.get("state", "")) for phase in program.iter("phase")]
        assert [int(count) for count in re.findall(r"，(\d+) 个信号为绿灯", answer)] == [count for count in greens if count]
    assert all("可以使用" in answer for _, answer in answers(found, "signal_check"))


def test_approaches_are_counted(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """The incoming edges and lanes of a junction are those that connections start from."""
    incoming: dict[str, set[str]] = {}
    for edge in edges_of(simulation.net):
        incoming.setdefault(edge.get("to", ""), set()).update(lane.get("id", "") for lane in edge.iter("lane"))
    asked = [pair for pair in answers(imported("net"), "sumo_question") if "信号路口" in pair[0]]
    assert len(asked) == 9
    for question, answer in asked:
        name = re.search(r"信号路口 (\S+) 的", question)
        assert name
        near(answer, r"(\d+) 条进口车道", len(incoming[name[1]]))
        near(answer, r"共 (\d+) 个进口", len({lane.rpartition("_")[0] for lane in incoming[name[1]]}))


def test_trips_are_added_up(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """Means, shares and percentiles are those of the vehicles that arrived; the others are counted."""
    every = list(ET.parse(simulation.trips).getroot().iter("tripinfo"))
    arrived = [trip for trip in every if Fraction(trip.get("arrival", "")) >= 0]
    assert 0 < len(arrived) < len(every)

    def total(name: str) -> Fraction:
        return sum((Fraction(trip.get(name, "")) for trip in arrived), Fraction(0))

    ((question, answer),) = answers(imported("trips"), "sumo_scene")
    near(answer, r"共有 (\d+) 辆车到达", len(arrived))
    near(answer, r"平均行程时间 ([\d.]+) s", total("duration") / len(arrived))
    near(answer, r"平均行驶里程 ([\d.]+) m", total("routeLength") / len(arrived))
    near(answer, r"平均速度 ([\d.]+) km/h", total("routeLength") / total("duration") * 18 / 5, 1)
    near(answer, r"平均等待 ([\d.]+) s", total("waitingTime") / len(arrived))
    near(answer, r"平均等待 [\d.]+ s，占行程时间的 ([\d.]+)%", total("waitingTime") / total("duration") * 100, 1)
    near(answer, r"平均时间损失 ([\d.]+) s", total("timeLoss") / len(arrived))
    near(answer, r"平均出发延误 ([\d.]+) s", total("departDelay") / len(arrived))
    near(answer, r"另有 (\d+) 辆车", len(every) - len(arrived))
    durations = sorted(Fraction(trip.get("duration", "")) for trip in arrived)
    near(question, r"中位数 ([\d.]+) s", median_low(durations))
    near(question, r"95 百分位 ([\d.]+) s", durations[-(-len(durations) * 95 // 100) - 1])
    near(question, r"最长 ([\d.]+) s", durations[-1])


def test_single_trips_are_asked_about(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """A question shows the figures of a vehicle that arrived, and the answer's arithmetic holds."""
    trips = {trip.get("id"): trip for trip in ET.parse(simulation.trips).getroot().iter("tripinfo")}
    asked = answers(imported("trips"), "sumo_question")
    assert len(asked) == 30
    for question, answer in asked:
        name = re.search(r"车辆 ([^，]+)，", question)
        assert name and Fraction(trips[name[1]].get("arrival", "")) >= 0
        near(question, r"duration=([\d.]+)", Fraction(trips[name[1]].get("duration", "")))
        near(question, r"routeLength=([\d.]+)", Fraction(trips[name[1]].get("routeLength", "")))
        near(question, r"waitingTime=([\d.]+)", Fraction(trips[name[1]].get("waitingTime", "")))
        assert count_equations(answer) == 1 and wrong_equations(answer) == []


def test_packed_trips_give_the_same_rows(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """What the simulator wrote as ``.gz`` gives the rows of the same run written plainly."""
    plain, packed = imported("trips"), imported("packed_trips")
    assert packed.turns == plain.turns
    assert packed.facts["source"]["size"] == simulation.packed_trips.stat().st_size


def test_the_course_of_a_run_is_described(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """Peaks, arrivals and the mean speed of a run are those of its steps."""
    steps = list(ET.parse(simulation.summary).getroot().iter("step"))
    running = [int(step.get("running", "")) for step in steps]
    halting = [int(step.get("halting", "")) for step in steps]
    speeds = [Fraction(step.get("meanSpeed", "")) for step in steps]
    driven = sum((count * speed for count, speed in zip(running, speeds, strict=True) if count), Fraction(0))
    found = imported("summary")
    ((_, answer),) = answers(found, "sumo_scene")
    near(answer, r"共有 (\d+) 辆车进入路网", int(steps[-1].get("inserted", "")))
    near(answer, r"，(\d+) 辆到达", int(steps[-1].get("arrived", "")))
    near(answer, r"平均在网 ([\d.]+) 辆", Fraction(sum(running), len(steps)), 1)
    near(answer, r"最多时为 [\d.]+ s 的 (\d+) 辆", max(running))
    near(answer, r"最多时为 ([\d.]+) s", Fraction(steps[running.index(max(running))].get("time", "")))
    near(answer, r"停驶车辆在 [\d.]+ s 最多，为 (\d+) 辆", max(halting))
    near(answer, r"加权的平均速度为 ([\d.]+) km/h", driven / sum(running) * 18 / 5, 1)
    tables = answers(found, "sumo_question")
    assert len(tables) == 6 and all(wrong_equations(answer) == [] for _, answer in tables)
    for question, answer in tables:
        cells = [[Fraction(cell) for cell in line.strip("| ").split(" | ")] for line in question.splitlines() if re.match(r"\| \d", line)]
        if "在网车辆最多" in answer:
            near(answer, r"为 (\d+) 辆。", max(row[1] for row in cells))
        else:
            near(answer, r"为 ([\d.]+) m/s", min(row[3] for row in cells))


def test_edges_are_measured_by_interval(simulation: Simulation, imported: Callable[[str], Imported]) -> None:
    """Each interval has a description with network speed, slowest and busiest edge, and a question over some edges."""
    intervals = list(ET.parse(simulation.edges).getroot().iter("interval"))
    found = imported("edges")
    described, asked = answers(found, "sumo_scene"), answers(found, "sumo_question")
    assert len(described) == len(intervals) == len(asked) == 3
    for interval, (_, answer) in zip(intervals, described, strict=True):
        edges = [edge for edge in interval if edge.get("speed")]
        times = [Fraction(edge.get("sampledSeconds", "")) for edge in edges]
        seconds = sum(times, Fraction(0))
        distance = sum((time * Fraction(edge.get("speed", "")) for time, edge in zip(times, edges, strict=True)), Fraction(0))
        left = [int(edge.get("left", "")) for edge in edges]
        length = Fraction(interval.get("end", "")) - Fraction(interval.get("begin", ""))
        near(answer, r"(\d+) 条路段中有", len(interval))
        near(answer, r"中有 (\d+) 条有车", len(edges))
        near(answer, r"路网平均速度 ([\d.]+) km/h", distance / seconds * 18 / 5, 1)
        near(answer, r"平均速度只有 ([\d.]+) km/h", min(Fraction(edge.get("speed", "")) for edge in edges) * 18 / 5, 1)
        near(answer, r"折合 (\d+) veh/h", max(left) * 3600 / length, 0)
        assert f"{edges[left.index(max(left))].get('id')} 驶离车辆最多" in answer
    assert all(wrong_equations(answer) == [] for _, answer in asked)
