"""A simulation that the real simulator has run."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[4]


@dataclass(frozen=True)
class Simulation:
    """Files that SUMO has written."""

    net: Path
    trips: Path
    packed_trips: Path
    summary: Path
    edges: Path


@pytest.fixture(scope="session")
def simulator() -> Path:
    """The folder of SUMO's programs; installed on the first use, which needs an index of packages."""
    done = subprocess.run([sys.executable, str(HOUSE / "scripts/sumo")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return Path(done.stdout.strip()) / "bin"


@pytest.fixture(scope="session")
def simulation(simulator: Path, tmp_path_factory: pytest.TempPathFactory) -> Simulation:
    """Ten minutes of traffic on a grid with signals; some vehicles are still under way at the end."""
    folder = tmp_path_factory.mktemp("sumo")
    names = ("net.net.xml", "tripinfo.xml", "tripinfo.xml.gz", "summary.xml", "edgedata.xml")
    net, trips, packed, summary, edges = (folder / name for name in names)
    grid = ["--grid", "--grid.number=3", "--grid.length=200", "--grid.attach-length=150", "--default.lanenumber=2", "--tls.guess"]
    run(simulator / "netgenerate", *grid, "--seed=7", f"--output-file={net}")
    flows = [("left0A0", "C0right0"), ("left1A1", "C1right1"), ("left2A2", "C2right2"), ("bottom1B0", "B2top1"), ("top0A2", "A0bottom0")]
    demand = "".join(
        f'<flow id="f{place}" begin="0" end="600" vehsPerHour="{360 + 60 * place}" from="{begin}" to="{end}"/>'
        for place, (begin, end) in enumerate(flows)
    )
    (folder / "demand.rou.xml").write_text(f"<routes>{demand}</routes>")
    (folder / "measure.add.xml").write_text(f'<additional><edgeData id="e" file="{edges}" period="200"/></additional>')
    options = [
        f"--net-file={net}",
        f"--route-files={folder / 'demand.rou.xml'}",
        f"--additional-files={folder / 'measure.add.xml'}",
        "--end=600",
    ]
    quiet = ["--no-step-log", "--no-warnings", "--xml-validation=never", "--seed=11"]
    run(
        simulator / "sumo",
        *options,
        *quiet,
        f"--tripinfo-output={trips}",
        "--tripinfo-output.write-unfinished",
        f"--summary-output={summary}",
    )
    run(simulator / "sumo", *options, *quiet, f"--tripinfo-output={packed}", "--tripinfo-output.write-unfinished")
    return Simulation(net, trips, packed, summary, edges)


def run(program: Path, *options: str) -> None:
    """One of SUMO's programs, without a look at the network."""
    done = subprocess.run([str(program), *options], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr + done.stdout
