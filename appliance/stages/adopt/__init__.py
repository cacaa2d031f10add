"""Adopt: bring a model in from outside: look at it before anything is loaded, copy it with checksums, publish it.

Takes a base's folder, a peft adapter's folder for a base that is here, or a GGUF file. Knows nothing of who may bring what, nor of names
in the registry.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.spec import AdoptSpec
from appliance.files.base_screening import BaseFacts, screen_base
from appliance.files.checksum import file_sha256, folder_manifest, manifest_sha256, size_of
from appliance.files.copying import copy_hashed
from appliance.files.publish import published_file, published_folder
from appliance.files.space import disk_full_named, require_space
from appliance.stages.adopt.adapter_screening import TOKENIZER, screen_adapter
from appliance.stages.adopt.adapter_words import complete_words
from appliance.stages.adopt.gguf_screening import screen_gguf
from appliance.stages.adopt.sentencepiece_tokenizer import write_tokenizer_json
from appliance.stages.export.adapter import CONFIG_FILE
from appliance.stages.export.checking import CheckRequest, checked

KEPT_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".md"})
KEPT_NAMES = ("LICENSE", "NOTICE", "COPYING")


def run(spec: AdoptSpec, emit: Emit) -> None:
    """Screen, copy, publish."""
    source, place = Path(spec.source), Path(spec.output)
    if spec.base:
        _adopt_adapter(source, place, Path(spec.base), emit)
    elif (source / CONFIG_FILE).is_file():
        raise ApplianceError("adapter_needs_base", path=str(source))
    elif source.is_dir():
        facts = screen_base(source)
        with disk_full_named(place.parent):
            emit(Produced(_adopt_base(source, place, facts, emit)))
    elif source.is_file():
        told = screen_gguf(source)
        with disk_full_named(place.parent):
            emit(Produced(_adopt_gguf(source, place, told, spec.check, emit)))
    else:
        raise ApplianceError("model_source_missing", path=str(source))


def _adopt_base(source: Path, place: Path, facts: BaseFacts, emit: Emit) -> Artifact:
    kept = _files_to_copy(source, place, emit)
    with published_folder(place) as partial:
        manifest = _copied(kept, source, partial, emit)
        screen_base(partial)  # what was copied, not what was there a moment ago
        if not (partial / TOKENIZER).is_file():
            write_tokenizer_json(partial)
            manifest[TOKENIZER] = file_sha256(partial / TOKENIZER)
            emit(Notice("info", "tokenizer_made"))
    recorded = msgspec.to_builtins(facts) | {"manifest": manifest}
    return Artifact(role="base", path=str(place), sha256=manifest_sha256(manifest), size=size_of(place), facts=recorded)


def _adopt_adapter(source: Path, place: Path, base: Path, emit: Emit) -> None:
    if not source.is_dir():
        raise ApplianceError("model_source_missing", path=str(source))
    facts = screen_adapter(source, base)
    if facts["named_base"]:
        emit(Notice("info", "adapter_names_base", {"base": facts["named_base"]}))
    with disk_full_named(place.parent):
        kept = _files_to_copy(source, place, emit)
        with published_folder(place) as partial:
            _copied(kept, source, partial, emit)
            if complete_words(partial, base):
                emit(Notice("info", "template_of_base"))
            facts = screen_adapter(partial, base)
            manifest = folder_manifest(partial)
    recorded = facts | {"manifest": manifest}
    emit(Produced(Artifact(role="adapter", path=str(place), sha256=manifest_sha256(manifest), size=size_of(place), facts=recorded)))


def _files_to_copy(source: Path, place: Path, emit: Emit) -> list[Path]:
    """What is copied, and for which there is room; what is left out is told."""
    kept, left_out = _sorted_files(source)
    total = sum(path.stat().st_size for path in kept)
    require_space(place.parent, total)
    if left_out:
        emit(Notice("info", "files_left_out", {"count": len(left_out), "names": ", ".join(left_out[:5])}))
    emit(Started(total, "bytes", "copy"))
    return kept


def _copied(kept: list[Path], source: Path, partial: Path, emit: Emit) -> dict[str, str]:
    """Copy files into a new folder; their checksums by name."""
    tell, manifest = _counting(emit), dict[str, str]()
    for path in kept:
        name = path.relative_to(source).as_posix()
        (partial / name).parent.mkdir(parents=True, exist_ok=True)
        manifest[name] = copy_hashed(path, partial / name, tell)
    return manifest


def _adopt_gguf(source: Path, place: Path, facts: dict[str, Any], check: bool, emit: Emit) -> Artifact:
    total = source.stat().st_size
    require_space(place.parent, total)
    emit(Started(total, "bytes", "copy"))
    with published_file(place) as partial:
        sha256 = copy_hashed(source, partial, _counting(emit))
        told: dict[str, Any] = {"done": check}
        if check:
            emit(Started(None, "strings", "check"))
            found = checked(CheckRequest(gguf=str(partial), compare_template=False))
            told |= {"answer": found.answer, "seconds": found.seconds}
    return Artifact(role="gguf", path=str(place), sha256=sha256, size=total, facts=facts | {"check": told})


def _counting(emit: Emit) -> Callable[[int], None]:
    """Turns the bytes of each piece into how many there were so far."""
    copied = 0

    def tell(count: int) -> None:
        nonlocal copied
        copied += count
        emit(Progress(copied))

    return tell


def _sorted_files(source: Path) -> tuple[list[Path], list[str]]:
    """What is copied, and the names of what is not; hidden files and folders (``.git``, ``.cache``) are not even counted."""
    kept, left_out = [], []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        if path.suffix.lower() in KEPT_SUFFIXES or path.name.upper().startswith(KEPT_NAMES):
            kept.append(path)
        else:
            left_out.append(name.as_posix())
    return kept, left_out
