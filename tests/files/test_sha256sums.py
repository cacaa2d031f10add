"""Lists of checksums as sha256sum writes them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.files.sha256sums import listed_checksums, read_list

ZERO = hashlib.sha256(b"").hexdigest()


def test_what_sha256sum_writes_is_read(tmp_path: Path) -> None:
    """Names with spaces, Chinese, folders, backslashes and line breaks come back as they are; so does binary mode."""
    names = ["a.json", "模型 1.safetensors", "sub/b.json", "back\\slash", "line\nbreak"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    program = shutil.which("sha256sum")
    assert program
    listed = subprocess.run([program, *names[:2], "-b", *names[2:]], cwd=tmp_path, capture_output=True, check=True).stdout
    (tmp_path / "SHA256SUMS").write_bytes(b"# made elsewhere\n\n" + listed)
    assert listed_checksums(tmp_path) == dict.fromkeys(names, ZERO)


def test_a_list_may_lie_beside_its_file(tmp_path: Path) -> None:
    """``X.sha256`` with a line or with nothing but the digest, and lists in a folder of the model's own."""
    (tmp_path / "a.gguf.sha256").write_text(ZERO.upper() + "\n")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "b.sha256").write_text(f"{ZERO} *./b\n")
    assert listed_checksums(tmp_path, ["sub"]) == {"a.gguf": ZERO, "sub/b": ZERO}


def test_names_that_lead_out_speak_of_nothing(tmp_path: Path) -> None:
    """A list cannot tell anything of files elsewhere."""
    (tmp_path / "SHA256SUMS").write_text(f"{ZERO}  ../up.json\n{ZERO}  /etc/passwd\n{ZERO}  in.json\n")
    assert listed_checksums(tmp_path) == {"in.json": ZERO}


@pytest.mark.parametrize("raw", [b"\xff\xfe", b"no digest\n", b"abc  a\n", ZERO.encode() + b"\n", b"SHA256 (a) = 0\n"])
def test_what_is_no_list_is_refused(raw: bytes, tmp_path: Path) -> None:
    """A list that cannot be read must not pass for one that has nothing against a file."""
    (tmp_path / "SHA256SUMS").write_bytes(raw)
    with pytest.raises(ApplianceError) as caught:
        read_list(tmp_path / "SHA256SUMS")
    assert caught.value.code == "checksums_broken"


def test_lists_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    """Nobody can know which of two is right."""
    (tmp_path / "SHA256SUMS").write_text(f"{ZERO}  a\n")
    (tmp_path / "a.sha256").write_text(f"{'1' * 64}  a\n")
    with pytest.raises(ApplianceError) as caught:
        listed_checksums(tmp_path)
    assert (caught.value.code, caught.value.parameters["name"]) == ("checksums_contradict", "a")
