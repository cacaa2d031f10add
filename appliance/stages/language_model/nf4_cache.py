"""Bases in NF4 on disk, so that the next start need not quantize again.

An entry is a folder that transformers loads, named by a fingerprint of the base's files and of all that decides its NF4 weights; embedding,
head and norms are in it in the base's own type. ``manifest.json`` has the SHA-256 of every other file, and an entry that does not fit it
is not believed. An entry is written under a name of its own and renamed, so writers never meet, and one that is removed while somebody
reads it stays whole for that reader; those that were used longest ago go when all together are too large.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
import torch
from safetensors.torch import save_file

from appliance.files.checksum import file_sha256, folder_manifest, size_of
from appliance.files.publish import PARTIAL, sync_file, sync_folder
from appliance.files.safetensors_header import StoredTensor, tensors_of_folder
from appliance.files.space import KEEP_FREE
from appliance.stages.language_model.device import Device

LARGEST = 24_000_000_000
"""Bytes of all entries together; a base of 14 B parameters takes 11 GB."""

_MANIFEST = "manifest.json"
_WEIGHTS = "model.safetensors"
_ABANDONED = 24 * 3600
"""Seconds after which a folder that nobody finished is removed."""
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10
"""How much of each file of weights goes into the fingerprint, besides its length, its time and its header: all of it would take longer
than quantizing on a GPU."""
_TYPES = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}


@dataclass(frozen=True)
class Entry:
    """A quantized base on disk."""

    folder: Path
    weights_sha256: str

    def is_whole(self) -> bool:
        """Whether every byte of the weights is as it was written: half a second for each GB, in which other threads can read them."""
        try:
            return file_sha256(self.folder / _WEIGHTS) == self.weights_sha256
        except OSError:
            return False


class Nf4Cache:
    """A folder of quantized bases."""

    def __init__(self, folder: Path, largest: int = LARGEST) -> None:
        self._folder = folder
        self._largest = largest

    def find(self, key: str) -> Entry | None:
        """What was put under a key, if it is there and, but for its weights, every byte is as it was written."""
        place = self._folder / key
        try:
            wanted = msgspec.json.decode((place / _MANIFEST).read_bytes(), type=dict[str, str])
            found = folder_manifest(place, leave_out=frozenset({_MANIFEST, _WEIGHTS}))
        except (OSError, ValueError):
            return None
        weights = wanted.pop(_WEIGHTS, "")
        if found != wanted or not weights:
            return None
        with contextlib.suppress(OSError):
            os.utime(place)  # eviction looks here
        return Entry(place, weights)

    def put(self, key: str, model: Any, base: Path) -> bool:
        """Keep a quantized model; False when the disk has no room to spare. Raises OSError when the disk does not take it."""
        tensors = _tensors_to_keep(model, tensors_of_folder(base))
        needed = sum(tensor.nbytes for tensor in tensors.values())
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(needed)
        if shutil.disk_usage(self._folder).free < 2 * needed + KEEP_FREE:
            return False
        partial = Path(tempfile.mkdtemp(dir=self._folder, prefix=key, suffix=PARTIAL))
        try:
            save_file(tensors, partial / _WEIGHTS, metadata={"format": "pt"})
            model.config.save_pretrained(partial)
            (partial / _MANIFEST).write_bytes(msgspec.json.encode(folder_manifest(partial)))
            for path in partial.iterdir():
                sync_file(path)
            self._publish(partial, self._folder / key)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        return True

    def _publish(self, partial: Path, place: Path) -> None:
        if place.exists() and not ((entry := self.find(place.name)) and entry.is_whole()):
            _remove(place)  # a damaged one
        with contextlib.suppress(FileExistsError, OSError):  # somebody else was quicker with the same entry
            partial.rename(place)
        sync_folder(self._folder)

    def _make_room(self, needed: int) -> None:
        """Remove what was used longest ago until the rest and ``needed`` bytes are small enough."""
        found = []
        for path in self._folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                state = path.stat()
                if path.suffix != PARTIAL:
                    found.append((state.st_mtime, size_of(path), path))
                elif time.time() - state.st_mtime > _ABANDONED:
                    shutil.rmtree(path, ignore_errors=True)
        total = needed + sum(size for _, size, _ in found)
        for _, size, path in sorted(found):
            if total <= self._largest:
                return
            _remove(path)
            total -= size


def nf4_key(base: Path, device: Device) -> str:
    """A fingerprint of the base's files and of all that decides which NF4 weights come of them."""
    digest = hashlib.sha256()
    settings = ("nf4", "double", device.kind, device.dtype_name, *(f"{name} {version(name)}" for name in ("bitsandbytes", "transformers")))
    for part in (*settings, (base / "config.json").read_text("utf-8")):
        digest.update(b"%d:%s" % (len(part), part.encode()))
    for path in sorted({tensor.path for tensor in tensors_of_folder(base).values()}):
        state = path.stat()
        digest.update(f"{path.name} {state.st_size} {state.st_mtime_ns}".encode())
        with path.open("rb") as file:
            digest.update(file.read(8 + int.from_bytes(file.read(8), "little")))
            for sample in range(_SAMPLES):
                file.seek(state.st_size * sample // _SAMPLES)
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()


def _tensors_to_keep(model: Any, stored: dict[str, StoredTensor]) -> dict[str, torch.Tensor]:
    """Everything that loading needs: NF4 with its scales as it is, the rest in the type that the base has it in."""
    kept, places = {}, set()
    for name, tensor in model.state_dict().items():
        if tensor.data_ptr() in places:
            continue  # a head that is the embedding
        places.add(tensor.data_ptr())
        as_stored = _TYPES.get(stored[name].dtype) if name in stored and tensor.is_floating_point() else None
        kept[name] = tensor.to("cpu", as_stored).contiguous()
    return kept


def _remove(place: Path) -> None:
    """Under another name first, so that nobody finds half of it."""
    doomed = place.with_name(f"{place.name}-{os.getpid()}{PARTIAL}")
    with contextlib.suppress(OSError):
        place.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)
