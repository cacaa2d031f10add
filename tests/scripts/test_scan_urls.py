"""The scan of URLs: a host that nobody has allowed is found wherever a program could have it from; documentation is none."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCAN = Path(__file__).parents[2] / "scripts" / "scan-urls"


def scanned(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What the scan says about a folder."""
    return subprocess.run([sys.executable, str(SCAN), *options, str(folder)], capture_output=True, text=True, check=False)


def library(folder: Path, name: str, file: str, content: bytes) -> Path:
    """A file of an installed library."""
    path = folder / "site-packages" / name / file
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("a.py", b"URL = 'https://telemetry.example.net/v1'"),
        ("a.py", b"send(f'wss://telemetry.example.net:443/{version}')"),
        ("a.py", b"URL = b'http://telemetry.example.net'"),
        ("a.py", b"not python: 'https://telemetry.example.net/v1'"),
        ("tool", b"#!/usr/bin/env python3\nURL = 'https://telemetry.example.net'"),
        ("a.so", b"\x7fELF...\0https://telemetry.example.net/v1\0"),
        ("a.so", b"\x7fELF...\0grpc://telemetry.example.nethttps\0"),
        ("dev/a.so", b"\x7fELF...\0https://telemetry.example.net/v1\0"),
    ],
)
def test_an_unknown_host_fails_the_scan(file: str, content: bytes, tmp_path: Path) -> None:
    """In a string, an f-string, bytes, a file that cannot be parsed, a script and a binary: named with the library and the file."""
    path = library(tmp_path, "numpy", file, content)
    found = scanned(tmp_path)
    assert found.returncode == 1
    assert found.stdout == f"unknown host  numpy: telemetry.example.net (in {path})\n"


@pytest.mark.parametrize("host", ["collect.example.link", "collect.example.top", "collect.example.museum", "example.community"])
@pytest.mark.parametrize("behind", [b"\0", b"/v1", b":8443", b"'"])
def test_a_whole_host_counts_whatever_its_ending(host: str, behind: bytes, tmp_path: Path) -> None:
    """In a binary, a host that ends where a URL's host ends is told even if nobody has heard of its last part."""
    library(tmp_path, "numpy", "a.so", b"\x7fELF...\0https://" + host.encode() + behind)
    found = scanned(tmp_path)
    assert (found.returncode, found.stdout.split()[:4]) == (1, ["unknown", "host", "numpy:", host])


def test_a_host_is_allowed_for_its_library_alone(tmp_path: Path) -> None:
    """What llama.cpp may name, numpy may not."""
    for name in ("llama_cpp", "numpy"):
        library(tmp_path, name, "a.so", b"\x7fELF https://registry-1.docker.io/v2 http://127.0.0.1:8080/")
    found = scanned(tmp_path)
    assert (found.returncode, found.stdout.count("\n")) == (1, 1)
    assert found.stdout.startswith("unknown host  numpy: registry-1.docker.io")


def test_documentation_is_no_host(tmp_path: Path) -> None:
    """Comments, docstrings, words that have run together in a binary, and files that no program runs are passed over."""
    library(tmp_path, "numpy", "a.py", b'"""See https://a.example.net."""\n# https://b.example.net\ndef f():\n    "http://c.example.net"\n')
    library(tmp_path, "numpy", "b.so", b"\x7fELF http://www.wencodeURIComponent http://www.World https://In")
    library(tmp_path, "numpy", "README.md", b"https://d.example.net")
    found = scanned(tmp_path)
    assert (found.returncode, found.stdout) == (0, "\n")


def test_a_library_that_is_called_inert_may_not_begin_to_speak(tmp_path: Path) -> None:
    """Any host may stand in pygments as long as nothing in it imports a module of the network."""
    library(tmp_path, "pygments", "lexers.py", b"url = 'https://new-language.example.net'")
    assert scanned(tmp_path).returncode == 0
    library(tmp_path, "pygments", "report.py", b"def f():\n    import urllib.request\n")
    found = scanned(tmp_path)
    assert (found.returncode, found.stdout) == (1, "imports network modules, and should not  pygments\n")


def test_the_list_can_be_written_anew(tmp_path: Path) -> None:
    """For an upgrade, everything there is can be printed."""
    library(tmp_path, "new", "a.py", b"A, B = 'https://b.example.net', 'https://a.example.net'")
    assert scanned(tmp_path, "--list").stdout == "new: a.example.net b.example.net\n"
