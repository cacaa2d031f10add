"""Files of SUMO that are damaged, hostile or unusual, and how much memory large ones take."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import ApplianceError
from appliance.stages.ingest.traffic.sumo.reading import Sample
from appliance.stages.ingest.traffic.sumo.xml_stream import elements
from tests.stages.ingest.conftest import Imported

Import = Callable[..., Imported]

TRIP = (
    '<tripinfo id="{id}" depart="0.00" arrival="{arrival}" duration="{duration}" routeLength="{length}" waitingTime="1.00" '
    'timeLoss="2.00"/>\n'
)
PROGRAM = '<tlLogic id="J" type="{type}" programID="0" offset="{offset}">{phases}</tlLogic>'
PHASES = (
    '<phase duration="{green}" state="GGrr"/><phase duration="3" state="yyrr"/>'
    '<phase duration="30" state="rrGG"/><phase duration="3" state="rryy"/>'
)


def trips(*lines: str) -> bytes:
    """A file of trips."""
    return f"<tripinfos>\n{''.join(lines)}</tripinfos>\n".encode()


def trip(name: str = "v", arrival: str = "40.00", duration: str = "40.00", length: str = "400.00") -> str:
    """One trip."""
    return TRIP.format(id=name, arrival=arrival, duration=duration, length=length)


def program(kind: str = "static", offset: str = "0", green: str = "42", phases: str = PHASES) -> bytes:
    """An additional file with one program."""
    return f"<additional>{PROGRAM.format(type=kind, offset=offset, phases=phases.format(green=green))}</additional>".encode()


HOSTILE = {
    "document type": (b'<!DOCTYPE net [<!ENTITY a "b">]><net><edge id="&a;"/></net>', "xml_with_document_type"),
    "external entity": (b'<?xml version="1.0"?><!DOCTYPE net SYSTEM "file:///etc/passwd"><net/>', "xml_with_document_type"),
    "cut off": (trips(trip()).replace(b"</tripinfos>", b""), "xml_broken"),
    "broken in the middle": (trips(trip(), "<tripinfo id=>\n"), "xml_broken"),
    "wrong bytes": (b"<net>\x00</net>", "xml_broken"),
    "unknown entity": (b"<net><edge id='&x;'/></net>", "xml_broken"),
    "deep": (b"<net>" + b"<a>" * 5000, "xml_too_deep"),
    "cut gzip": (gzip.compress(trips(trip()))[:-9], "file_damaged"),
    "gzip with rubbish inside": (gzip.compress(trips(trip()))[:40] + b"\xff" * 40, "file_damaged"),
    "nobody drove": (b"<tripinfos/>", "source_without_rows"),
    "no programs": (b"<additional><busStop id='x'/></additional>", "source_without_rows"),
}


@pytest.mark.parametrize(("data", "code"), HOSTILE.values(), ids=HOSTILE.keys())
def test_a_bad_file_is_one_named_error(import_bytes: Import, data: bytes, code: str, tmp_path: Path) -> None:
    """Documents that ask the parser for something, end too soon or hold nothing are refused by name; nothing is left behind."""
    with pytest.raises(ApplianceError) as refusal:
        import_bytes(data, "f.xml", format="sumo")
    assert refusal.value.code == code
    assert [path.name for path in tmp_path.iterdir()] == ["f.xml"]


def test_another_root_is_named(import_bytes: Import) -> None:
    """A file that was said to be of SUMO and is something else says which root it has."""
    with pytest.raises(ApplianceError) as refusal:
        import_bytes(b"<routes><flow/></routes>", "r.xml", format="sumo")
    assert (refusal.value.code, refusal.value.parameters["root"]) == ("sumo_root_unknown", "routes")


@pytest.mark.parametrize("data", [b'<!DOCTYPE net [<!ENTITY a "b">]><net/>', b"<tripinfos>\n<tripinfo id="])
def test_bad_files_are_recognised_all_the_same(import_bytes: Import, data: bytes) -> None:
    """A document that hides its root behind a document type, or breaks off, is named as what it is and not as no table."""
    with pytest.raises(ApplianceError) as refusal:
        import_bytes(data, "f.xml")
    assert refusal.value.code in {"xml_with_document_type", "xml_broken"}


def test_a_bomb_is_refused(import_bytes: Import) -> None:
    """A packed file that unpacks to a thousand times its size is refused before it is read to its end."""
    with pytest.raises(ApplianceError) as refusal:
        import_bytes(gzip.compress(b"<tripinfos>" + b" " * (80 << 20), compresslevel=1), "f.xml.gz")
    assert refusal.value.code == "file_is_bomb"


def test_a_token_without_end_is_refused() -> None:
    """An attribute of any length does not fill the memory."""
    endless = (b"<net a='" if not number else b"x" * (1 << 20) for number in range(1000))
    with pytest.raises(ApplianceError) as refusal:
        list(elements(endless, "f.xml"))
    assert refusal.value.code == "xml_token_too_long"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (trip(duration="abc"), "sumo_attribute_wrong"),
        (trip(duration="-1"), "sumo_attribute_wrong"),
        (trip(duration="NaN"), "sumo_attribute_wrong"),
        (trip(duration="1e400"), "sumo_attribute_wrong"),
        (trip().replace("routeLength", "length"), "sumo_attribute_missing"),
        (trip().replace('id="v"', ""), "sumo_attribute_missing"),
    ],
)
def test_a_bad_trip_is_listed_and_not_counted(import_bytes: Import, line: str, reason: str) -> None:
    """A trip whose figures cannot be read has its line and reason among the rejected ones; sums are of the others."""
    imported = import_bytes(trips(trip("a"), line, trip("b")), "t.xml")
    assert imported.reasons == [(3, reason)]
    (scene,) = [turns for turns, row in zip(imported.turns, imported.rows, strict=True) if row["labels"]["task"] == "sumo_scene"]
    assert "到达车辆：2 辆" in scene[0][1] and "行程时间合计：80 s" in scene[0][1]


def test_times_may_be_clocks(import_bytes: Import) -> None:
    """``--human-readable-time`` writes hours, minutes and seconds."""
    imported = import_bytes(trips(trip(duration="1:00:40.00", arrival="1:02:03:04")), "t.xml")
    assert "行程时间合计：3640 s" in imported.turns[0][0][1]


def test_the_declared_encoding_does_not_matter(import_bytes: Import) -> None:
    """A file that says it is in one encoding and is in another is read in the one that it is in."""
    data = b'<?xml version="1.0" encoding="UTF-8"?>\n' + trips(trip("人民路一号车"))
    imported = import_bytes(data.decode().encode("gb18030"), "t.xml", encoding="gb18030")
    assert "车辆 人民路一号车" in imported.turns[1][0][1]


def test_markup_in_names_stays_text(import_bytes: Import) -> None:
    """Control characters in names are shown as escapes."""
    imported = import_bytes(trips(trip("a&#x9b;31m&lt;b&gt;")), "t.xml")
    assert "车辆 a\\x9b31m<b>" in imported.turns[1][0][1]


@pytest.mark.parametrize(
    ("data", "reason", "checks"),
    [
        (program(), None, True),
        (program(offset="-7"), None, True),
        (program(green="3"), "plan_green_short", True),
        (program(kind="actuated"), None, False),
        (program(phases='<phase duration="42" state="GGrr"/><phase duration="30" state="rrGG"/>'), None, False),
        (program(phases='<phase duration="42" state="GG rr"/>'), "sumo_state_wrong", None),
        (program(phases=""), "sumo_program_empty", None),
        (program(phases='<phase duration="1" state="G"/>' * 101), "sumo_program_too_long", None),
        (program(green="x"), "sumo_attribute_wrong", None),
    ],
)
def test_programs_of_other_kinds(import_bytes: Import, data: bytes, reason: str | None, checks: bool | None) -> None:
    """Only fixed-time programs with clearances are plans; what cannot be read is refused, and a wrong plan gets its check."""
    good = program(green="50").removeprefix(b"<additional>")
    imported = import_bytes(data.removesuffix(b"</additional>") + good, "a.add.xml")
    assert [code for _, code in imported.reasons] == ([reason] if reason else [])
    tasks = [row["labels"]["task"] for row in imported.rows]
    assert tasks.count("sumo_scene") == (1 if checks is None else 2)
    assert tasks.count("signal_check") == (2 if checks else 1)


@given(st.lists(st.text("abc", max_size=3)), st.integers(1, 5))
def test_samples_depend_on_content(keys: list[str], size: int) -> None:
    """A sample holds as many as it may, in the order of arrival, and is the same the next time."""
    samples = []
    for _ in range(2):
        sample: Sample[int] = Sample(size, "x")
        for place, key in enumerate(keys):
            sample.add(key, place)
        samples.append(list(sample))
    assert samples[0] == samples[1] == sorted(samples[0])
    assert len(samples[0]) == min(size, len(keys))


@pytest.mark.slow
def test_large_files_take_little_memory(tmp_path: Path) -> None:
    """Three hundred thousand trips (50 MB) are read in less than 20 MB above what the stage takes empty."""
    path = tmp_path / "t.xml"
    with path.open("w") as file:
        file.write("<tripinfos>\n")
        file.writelines(trip(f"vehicle{number}", duration=f"{number % 5000}.25") for number in range(300_000))
        file.write("</tripinfos>\n")
    program = textwrap.dedent(f"""
        import json, resource
        from appliance.domain.spec import IngestSpec
        from appliance.stages import ingest
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        ingest.run(IngestSpec(source={str(path)!r}, output={str(tmp_path / "out")!r}), lambda event: None)
        print(json.dumps(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before))
    """)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) < 20_000
    assert "到达车辆：300000 辆" in (tmp_path / "out/rows.jsonl").read_text("utf-8")
