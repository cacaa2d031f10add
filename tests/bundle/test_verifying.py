"""The installer verifies before it loads: every kind of tampering is refused by name, and nothing is done."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.bundling.folder import seal
from tests.bundle.conftest import BundleMaker, Key, Machine, make_key


def flip(path: Path) -> None:
    """Change one byte."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def test_a_whole_bundle_passes(make_bundle: BundleMaker, machine: Machine, key: Key) -> None:
    """By the list of signers and by the fingerprint alike; a check touches no engine."""
    bundle = make_bundle("0.1.0")
    machine.set(down=True)
    assert machine.install(bundle, "--check")[0] == 0
    status, said = machine.install(bundle, "--check", "--fingerprint", key.fingerprint, signed=False)
    assert status == 0
    assert "complete and unchanged" in said and key.fingerprint in said
    assert machine.calls == []


def test_a_changed_file_is_refused_by_name(make_bundle: BundleMaker, machine: Machine) -> None:
    """One bit of any file, the installer's own parts among them, is found and named before anything is loaded."""
    bundle = make_bundle("0.1.0")
    names = sorted(str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file())
    for name in names:
        if name in ("install.sh", "SHA256SUMS", "SHA256SUMS.sig"):
            continue
        original = (bundle / name).read_bytes()
        flip(bundle / name)
        status, said = machine.install(bundle)
        assert (status, name in said) == (3, True), said
        (bundle / name).write_bytes(original)
    assert machine.calls == []


def test_a_changed_installer_is_found_by_hand(make_bundle: BundleMaker, machine: Machine) -> None:
    """The two commands of the guide, which need nothing of the bundle's, find a changed installer and pass a whole one."""
    bundle = make_bundle("0.1.0")
    by_hand = (
        f"ssh-keygen -Y verify -f {machine.key.signers} -I greenwave -n greenwave -s SHA256SUMS.sig < SHA256SUMS && "
        "sha256sum --check --strict --quiet SHA256SUMS"
    )
    assert subprocess.run(by_hand, cwd=bundle, shell=True, check=False, capture_output=True).returncode == 0
    flip(bundle / "install.sh")
    found = subprocess.run(by_hand, cwd=bundle, shell=True, check=False, capture_output=True, text=True)
    assert found.returncode == 1
    assert "install.sh" in found.stdout


def rewritten_sums(bundle: Path) -> None:
    """Somebody changes a file and its line."""
    flip(bundle / "image.tar.gz.00")
    sums = bundle / "SHA256SUMS"
    kept = [line for line in sums.read_text("utf-8").splitlines() if not line.endswith("image.tar.gz.00")]
    digest = subprocess.run(["sha256sum", "image.tar.gz.00"], cwd=bundle, check=True, capture_output=True, text=True).stdout
    sums.write_text("\n".join([*kept, digest]), "utf-8")


def signed_by_another(bundle: Path) -> None:
    """Somebody signs with a key of theirs."""
    for name in ("SHA256SUMS", "SHA256SUMS.sig"):
        (bundle / name).unlink()
    seal(bundle, make_key(bundle.parent / "other").file)


def signed_for_another_purpose(bundle: Path) -> None:
    """The right key, but a signature that was made for something else."""
    (bundle / "SHA256SUMS.sig").unlink()
    key = next(bundle.parent.parent.parent.rglob("keys*/key/key"))
    subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key, "-n", "git", bundle / "SHA256SUMS"], check=True)


TAMPERED: dict[str, tuple[Callable[[Path], object], str]] = {
    "sums rewritten": (rewritten_sums, "signature"),
    "signed by another": (signed_by_another, "signature"),
    "signature cut": (lambda bundle: flip(bundle / "SHA256SUMS.sig"), "signature"),
    "signature gone": (lambda bundle: (bundle / "SHA256SUMS.sig").unlink(), "SHA256SUMS.sig is missing"),
    "file gone": (lambda bundle: (bundle / "image.tar.gz.01").unlink(), "missing: image.tar.gz.01"),
    "file more": (lambda bundle: (bundle / "autorun.inf").write_text("x"), "not part of the bundle: autorun.inf"),
    "hidden file": (lambda bundle: (bundle / "licenses" / ".x").write_text("x"), "not part of the bundle: licenses/.x"),
    "line break in a name": (lambda bundle: (bundle / "a\nb").write_text("x"), r"not part of the bundle: $'a\nb'"),
    "escape in a name": (lambda bundle: (bundle / "\x1b]0;owned\x07").write_text("x"), "not part of the bundle: $'"),
    "option as a name": (lambda bundle: (bundle / "--help").write_text("x"), "not part of the bundle: --help"),
    "pipe": (lambda bundle: os.mkfifo(bundle / "pipe"), "not a plain file: pipe"),
    "link": (lambda bundle: (bundle / "link").symlink_to("/etc/passwd"), "not a plain file: link"),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_tampering_is_refused_by_name(make_bundle: BundleMaker, machine: Machine, how: str) -> None:
    """Whatever was done to the bundle is told with its name, and the engine hears nothing; no foreign byte reaches the terminal."""
    tamper, told = TAMPERED[how]
    bundle = make_bundle("0.1.0")
    tamper(bundle)
    status, said = machine.install(bundle)
    assert (status, told in said) == (3, True), said
    assert "Hint: " in said
    assert "\x1b" not in said and "\x07" not in said
    assert machine.calls == []
    assert list((machine.folder / "tmp").glob("greenwave-install.*")) == []


def test_a_link_in_a_files_place_is_refused(make_bundle: BundleMaker, machine: Machine, tmp_path: Path) -> None:
    """Also where what it leads to has the right content."""
    bundle = make_bundle("0.1.0")
    shutil.move(bundle / "image.tar.gz.00", tmp_path / "elsewhere")
    (bundle / "image.tar.gz.00").symlink_to(tmp_path / "elsewhere")
    status, said = machine.install(bundle)
    assert (status, "not a plain file: image.tar.gz.00" in said) == (3, True), said


def test_names_in_signed_sums_lead_nowhere_else(make_bundle: BundleMaker, machine: Machine, key: Key) -> None:
    """Even a signer cannot make the installer write outside its own folder."""
    bundle = make_bundle("0.1.0")
    for name in ("../../etc/passwd", "/etc/passwd", "a/./b", "$(touch x)", "a b"):
        (bundle / "SHA256SUMS").write_text(f"{'0' * 64}  {name}\n", "utf-8")
        (bundle / "SHA256SUMS.sig").unlink()
        subprocess.run(["ssh-keygen", "-q", "-Y", "sign", "-f", key.file, "-n", "greenwave", bundle / "SHA256SUMS"], check=True)
        status, said = machine.install(bundle)
        assert status == 3, said
    assert machine.calls == []


def test_the_key_must_come_another_way(make_bundle: BundleMaker, machine: Machine, key: Key, tmp_path: Path) -> None:
    """Without a key nothing is verified; a key that lies in the bundle does not count; another fingerprint does not pass."""
    bundle = make_bundle("0.1.0")
    assert machine.install(bundle, signed=False)[0] == 2
    other = make_key(tmp_path / "other")
    status, said = machine.install(bundle, "--fingerprint", other.fingerprint, signed=False)
    assert (status, key.fingerprint in said) == (3, True)
    shutil.copy(key.signers, bundle / "signers")
    status, said = machine.install(bundle, "--signers", bundle / "signers", signed=False)
    assert (status, "vouch" in said) == (2, True)
    status, said = machine.install(bundle, "--signers", tmp_path / "nothing", signed=False)
    assert (status, "nothing" in said) == (2, True)
    assert machine.calls == []
