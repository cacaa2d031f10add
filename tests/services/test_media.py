"""Media and folders to import from."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.services import media
from appliance.services.media import MediaService

LINE = "36 35 8:17 / {path} {options} shared:1 - {kind} {device} rw,errors=continue\n"


@pytest.fixture
def stick(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that the kernel says a medium is mounted at, with a name that people give."""
    place = tmp_path / "media" / "警用 U盘\t1"
    place.mkdir(parents=True)
    monkeypatch.setattr(media, "PLACES", (str(tmp_path / "media"),))
    return place


def test_media_are_those_that_are_mounted_where_media_are(stick: Path, tmp_path: Path) -> None:
    """Spaces and tabs are read back, other mounts and what is not there are left out, a named folder is listed once."""
    escaped = str(stick).replace(" ", "\\040").replace("\t", "\\011")
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        LINE.format(path="/", options="rw", kind="ext4", device="/dev/sda1")
        + LINE.format(path=escaped, options="ro,nosuid", kind="vfat", device="/dev/sdb1")
        + LINE.format(path=tmp_path / "media" / "gone", options="rw", kind="vfat", device="/dev/sdc1")
        + "nonsense\n- - -\n",
        "utf-8",
    )
    named = tmp_path / "inbox"
    named.mkdir()
    service = MediaService({media.MEDIA_VARIABLE: f"{named}:{named}:{stick}:/nowhere:"}, mounts)
    found = {one.path: one for one in service.mounted()}
    assert list(found) == [str(stick), str(named)]
    assert (found[str(stick)].filesystem, found[str(stick)].device, found[str(stick)].is_read_only) == ("vfat", "/dev/sdb1", True)
    assert found[str(stick)].total > 0
    assert MediaService({}, tmp_path / "none").mounted() == []


def test_the_kernels_own_list_is_read() -> None:
    """Whatever is mounted on this machine, reading it is no error."""
    assert all(one.path.startswith(media.PLACES) for one in MediaService({}).mounted())


def test_a_folder_says_what_could_be_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders first, models told from other folders, hidden, broken and hostile entries survived, very many cut and counted."""
    (tmp_path / "qwen").mkdir()
    (tmp_path / "qwen" / "config.json").touch()
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "adapter_config.json").touch()
    (tmp_path / "报表").mkdir()
    for name in ("a.CSV", "b.gguf", "c.exe", ".hidden", "\x1b[2J.txt"):
        (tmp_path / name).write_bytes(b"12345")
    (tmp_path / "broken").symlink_to("nowhere")
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\xfe.csv")).touch()
    listing = MediaService().entries(tmp_path)
    uses = {entry.name: entry.use for entry in listing.entries}
    assert uses == {
        "报表": "folder", "adapter": "adapter", "qwen": "base", "a.CSV": "records", "b.gguf": "gguf", "c.exe": "other",
        "\x1b[2J.txt": "records", "broken": "other",
    }  # fmt: skip
    assert listing.entries[0].name == "报表"
    assert {entry.name: entry.size for entry in listing.entries}["a.CSV"] == 5
    monkeypatch.setattr(media, "MOST_ENTRIES", 3)
    shortened = MediaService().entries(tmp_path)
    assert (len(shortened.entries), shortened.more) == (3, 5)
    with pytest.raises(ApplianceError, match="source_missing"):
        MediaService().entries(tmp_path / "none")
