"""Set-up says in one sentence what a machine lacks, never fetches CUDA unasked, and does nothing twice.

The script runs for real in a folder of its own, with a PATH on which Python is a stand-in that writes down what it is asked for.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[2]
PROGRAMS = ["awk", "bash", "cat", "chmod", "cp", "cut", "dirname", "flock", "mkdir", "rm", "sed", "sha256sum", "touch"]

PYTHON = """#!/bin/bash
echo "$*" >> "$CALLS"
case "$*" in
    --version) echo "Python 3.12.1" ;;
    *"sys.version_info"*) exit "${PYTHON_IS_OLD:-0}" ;;
    *"import ensurepip"*) exit "${NO_VENV:-0}" ;;
    "-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
    *"--index-url"*) exit "${NO_CPU_INDEX:-0}" ;;
    *"torch==2.13.0+cpu"*) exit "${NO_CPU_WHEEL:-0}" ;;
    *"scripts/wheelhouse") echo /wheels/llama.whl ;;
    *"--editable"*) cp "$0" .venv/bin/greenwave ;;
esac
"""


@dataclass
class Machine:
    """A clone with a PATH that has only what a test gives it."""

    clone: Path
    programs: Path
    calls: Path

    def give(self, name: str, script: str) -> None:
        """Put a program on the PATH."""
        path = self.programs / name
        path.write_text(script, "utf-8")
        path.chmod(0o755)

    def set_up(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run scripts/setup on this machine."""
        variables = {"PATH": str(self.programs), "CALLS": str(self.calls), "GREENWAVE_TORCH": "cpu", **environment}
        bash = str(self.programs / "bash")
        return subprocess.run(
            [bash, "scripts/setup", *arguments], cwd=self.clone, env=variables, capture_output=True, text=True, check=False
        )

    def asked(self) -> list[str]:
        """What Python was asked for since the last look."""
        lines = self.calls.read_text("utf-8").splitlines()
        self.calls.unlink()
        return lines


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A Linux machine that has everything."""
    clone, programs = tmp_path / "clone", tmp_path / "programs"
    for folder in (clone / "scripts", programs):
        folder.mkdir(parents=True)
    shutil.copytree(HOUSE / "scripts/llama_cpp", clone / "scripts/llama_cpp")
    for name in ("constraints.txt", "pyproject.toml", "scripts/setup", "scripts/wheelhouse"):
        shutil.copy(HOUSE / name, clone / name)
    for name in PROGRAMS:
        (programs / name).symlink_to(str(shutil.which(name)))
    made = Machine(clone, programs, tmp_path / "calls")
    made.give("python3", PYTHON)
    made.give("uname", "#!/bin/bash\necho Linux\n")
    made.give("df", "#!/bin/bash\necho header\necho /dev/x 99999 1 98000 1% /\n")
    made.give("g++", "#!/bin/bash\n")
    return made


def told(ended: subprocess.CompletedProcess[str]) -> list[str]:
    """The last two lines of a set-up that gave up: message and hint."""
    assert ended.returncode != 0
    assert ended.stdout == ""
    return ended.stderr.splitlines()[-2:]


def test_set_up_comes_to_an_end(machine: Machine) -> None:
    """With everything there, the environment is made in four steps that are told, and standard output stays empty."""
    ended = machine.set_up()
    assert (ended.returncode, ended.stdout) == (0, "")
    steps = ended.stderr.splitlines()
    assert [step[:3] for step in steps[:4]] == ["1/4", "2/4", "3/4", "4/4"]
    assert steps[-1].endswith(".venv/bin/greenwave")


def test_every_install_is_held_to_the_pins(machine: Machine) -> None:
    """No package is installed without the constraints, the one that builds this package's wheel included."""
    machine.set_up()
    installs = [line for line in machine.asked() if line.startswith("-m pip install")]
    assert len(installs) == 4
    assert all("--constraint constraints.txt" in line for line in installs)
    assert "--build-constraint constraints.txt" in installs[-1]


def test_a_second_set_up_has_nothing_to_do(machine: Machine) -> None:
    """What is ready is seen without asking pip; a changed pin or a wish for the tests is work again."""
    machine.set_up("--test")
    machine.asked()
    assert machine.set_up("--test").stderr == ""
    assert machine.set_up().stderr == ""
    assert not any("pip" in line for line in machine.asked())
    with (machine.clone / "constraints.txt").open("a", encoding="utf-8") as pins:
        pins.write("another==1.0\n")
    assert "4/4" in machine.set_up().stderr
    asked = machine.asked()
    assert not any("venv" in line for line in asked if line.startswith("-m"))
    assert "4/4" in machine.set_up("--test").stderr


def test_an_interrupted_set_up_is_done_again(machine: Machine) -> None:
    """A set-up that ended half-way is not taken for ready."""
    assert machine.set_up(NO_CPU_WHEEL="1", NO_CPU_INDEX="1").returncode == 1
    assert "4/4" in machine.set_up().stderr


def test_no_fitting_python(machine: Machine) -> None:
    """A Python that is too old is told apart from none that fits."""
    message, hint = told(machine.set_up(PYTHON_IS_OLD="1"))
    assert message == "No Python from 3.11 to 3.14 was found."
    assert "sudo apt install python3" in hint


def test_no_venv_module(machine: Machine) -> None:
    """Debian's Python without python3-venv is named with its remedy."""
    message, hint = told(machine.set_up(NO_VENV="1"))
    assert message.endswith("cannot make virtual environments.")
    assert "python3-venv" in hint


def test_no_compiler(machine: Machine) -> None:
    """A machine without a C++ compiler hears it before anything is fetched."""
    (machine.programs / "g++").unlink()
    message, hint = told(machine.set_up())
    assert message.startswith("No C++ compiler was found")
    assert "sudo apt install g++" in hint
    assert not (machine.clone / ".venv").exists()


def test_no_room(machine: Machine) -> None:
    """Too little disk is told with figures, and exit code 4."""
    machine.give("df", "#!/bin/bash\necho header\necho /dev/x 99999 1 800 99% /\n")
    ended = machine.set_up()
    assert told(ended)[0] == f"The virtual environment needs 2500 MB in {machine.clone}, and 800 MB are free."
    assert ended.returncode == 4


def test_not_linux(machine: Machine) -> None:
    """Other systems are named."""
    machine.give("uname", "#!/bin/bash\necho Darwin\n")
    assert told(machine.set_up())[0] == "Greenwave runs on Linux, and this is Darwin."


def test_an_unknown_option(machine: Machine) -> None:
    """A mistyped option is a usage error."""
    ended = machine.set_up("--tests")
    assert told(ended)[0] == "scripts/setup does not know the option --tests."
    assert ended.returncode == 2


def test_cpu_build_at_hand_is_taken(machine: Machine) -> None:
    """Without an NVIDIA driver the CPU build that pip finds by itself is used, and no other place is asked."""
    machine.set_up()
    assert [line for line in machine.asked() if "torch==" in line and "index-url" in line] == []


def test_cpu_build_from_the_projects_own_index(machine: Machine) -> None:
    """Where pip finds none by itself, PyTorch's index of CPU builds is asked, for torch alone."""
    assert machine.set_up(NO_CPU_WHEEL="1").returncode == 0
    (asked,) = (line for line in machine.asked() if "--index-url" in line)
    assert "--no-deps" in asked
    assert asked.endswith("torch==2.13.0+cpu")


def test_cuda_is_never_fetched_unasked(machine: Machine) -> None:
    """Where no CPU build can be had, set-up stops and says how to go on instead of fetching gigabytes."""
    message, hint = told(machine.set_up(NO_CPU_WHEEL="1", NO_CPU_INDEX="1"))
    assert message.startswith("This machine has no NVIDIA driver, and no CPU build of torch 2.13.0 could be had")
    assert "GREENWAVE_TORCH=cuda" in hint
    assert not any(line.endswith("torch==2.13.0") for line in machine.asked())


def test_cuda_where_it_is_wanted(machine: Machine) -> None:
    """With a driver, or on request, the usual build is installed, and more room is asked for."""
    machine.set_up(GREENWAVE_TORCH="cuda")
    assert any(line.endswith("torch==2.13.0") for line in machine.asked())
    machine.give("df", "#!/bin/bash\necho header\necho /dev/x 99999 1 8000 99% /\n")
    (machine.clone / "constraints.txt").write_text("torch==2.14.0\n", "utf-8")
    assert "needs 9000 MB" in machine.set_up(GREENWAVE_TORCH="cuda").stderr


@pytest.mark.parametrize("name", ["setup", "demo", "test", "check", "wheelhouse"])
def test_scripts_can_be_started(name: str) -> None:
    """Each script is executable."""
    assert os.access(HOUSE / "scripts" / name, os.X_OK)
