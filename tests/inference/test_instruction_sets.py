"""llama.cpp runs on any processor and takes the best that the one at hand can do: one library per instruction set, chosen at start."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from appliance.domain.conversation import Message
from appliance.inference import server as serving
from appliance.inference.client import Sampling
from appliance.inference.server import ServerSettings, find_llama_server, running_server
from tests.inference.conftest import TinyModel

QUESTION = [Message(role="user", content="绿灯什么时候亮？")]
SMALL = ServerSettings(context_length=256, threads=1)
BASELINE = "libggml-cpu-x64.so"
"""What every 64-bit x86 processor since 2003 can run."""
WIDER = {"avx2": "libggml-cpu-haswell.so", "avx512f": "libggml-cpu-skylakex.so", "amx_int8": "libggml-cpu-sapphirerapids.so"}
"""A library that must be there for a processor flag."""

IN_A_CHILD = """
import json, sys
from pathlib import Path
from appliance.stages.export.ggml_backends import load_backends
load_backends(Path(sys.argv[2]))
import llama_cpp
model = llama_cpp.Llama(sys.argv[1], n_ctx=64, verbose=False)
words = model("绿灯", max_tokens=4, temperature=0)["usage"]["completion_tokens"]
maps = Path("/proc/self/maps").read_text()
print(json.dumps({"words": words, "libraries": sorted({line.split("/")[-1] for line in maps.splitlines() if "libggml-cpu" in line})}))
"""


def libraries_of(pid: int) -> set[str]:
    """The libraries for instruction sets that a process has loaded."""
    lines = Path(f"/proc/{pid}/maps").read_text("utf-8").splitlines()
    return {line.rpartition("/")[2] for line in lines if "libggml-cpu" in line}


@pytest.fixture
def baseline_only(tmp_path: Path) -> Path:
    """A copy of llama.cpp's programs from which every library but the baseline's is gone."""
    installed = find_llama_server().parent
    folder = tmp_path / "bin"
    folder.mkdir()
    (tmp_path / "lib").symlink_to(installed.parent / "lib")
    for name in ("llama-server", BASELINE):
        (folder / name).write_bytes((installed / name).read_bytes())
        (folder / name).chmod(0o755)
    return folder


def test_there_is_a_library_for_each_instruction_set() -> None:
    """The wheel carries the baseline, AVX2, AVX-512 and AMX."""
    found = {path.name for path in find_llama_server().parent.glob("libggml-cpu-*.so")}
    assert found >= {BASELINE, *WIDER.values()}


def test_the_best_one_is_taken(qwen: TinyModel, tmp_path: Path) -> None:
    """A server loads exactly one, and not the baseline where the processor can do more."""
    flags = set(Path("/proc/cpuinfo").read_text("utf-8").partition("flags")[2].partition("\n")[0].split())
    with running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL) as server:
        (loaded,) = libraries_of(server.child.pid)
    assert (loaded == BASELINE) == ("sse4_2" not in flags)
    if "amx_int8" in flags:
        assert loaded == WIDER["amx_int8"]


def test_the_server_answers_on_the_baseline(qwen: TinyModel, tmp_path: Path, baseline_only: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing but the baseline's library a server loads a model and answers."""
    monkeypatch.setattr(serving, "find_llama_server", lambda: baseline_only / "llama-server")
    with running_server(qwen.gguf, log=tmp_path / "log", settings=SMALL) as server:
        with server.client() as client:
            assert client.chat(QUESTION, Sampling(max_tokens=3)).completion_tokens > 0
        assert libraries_of(server.child.pid) == {BASELINE}


def test_the_library_answers_on_the_baseline(qwen: TinyModel, baseline_only: Path) -> None:
    """The same within a Python process, as the check after an export loads models."""
    command = [sys.executable, "-c", IN_A_CHILD, str(qwen.gguf), str(baseline_only)]
    told = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    assert told["words"] > 0
    assert told["libraries"] == [BASELINE]
