"""Adopt: bring a model in from outside: look at it before anything is loaded, copy it with checksums, publish it.

Takes a base's folder, a peft adapter's folder for a base that is here, or a GGUF file. A copy that was cut off, by a medium that was pulled
out or a process that was killed, is gone on with by the next try. Knows nothing of who may bring what, nor of names in the registry.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.spec import AdoptSpec
from appliance.files.base_screening import BaseFacts, screen_base
from appliance.files.checksum import file_sha256, folder_manifest, manifest_sha256, size_of
from appliance.files.copying import medium_watched
from appliance.files.sha256sums import is_list, listed_checksums
from appliance.files.space import disk_full_named
from appliance.processes.stopping import Stopped
from appliance.stages.adopt.adapter_screening import TOKENIZER, screen_adapter
from appliance.stages.adopt.adapter_words import complete_words
from appliance.stages.adopt.gguf_screening import screen_gguf
from appliance.stages.adopt.offered_templates import TEMPLATE_FILE, fitting_template
from appliance.stages.adopt.sentencepiece_tokenizer import write_tokenizer_json
from appliance.stages.adopt.unfinished import UnfinishedCopy, unfinished_copy
from appliance.stages.export.adapter import CONFIG_FILE
from appliance.stages.export.checking import CheckRequest, checked

KEPT_SUFFIXES = frozenset({".safetensors", ".json", ".jinja", ".txt", ".model", ".md"})
KEPT_NAMES = ("LICENSE", "NOTICE", "COPYING")


def run(spec: AdoptSpec, emit: Emit) -> None:
    """Screen, copy, publish."""
    source, place = Path(spec.source), Path(spec.output)
    copies = Path(spec.copies) if spec.copies else place.parent / ".copies"
    with medium_watched(source):
        if spec.base:
            told = _adapter_facts(source, Path(spec.base), emit)
        elif (source / CONFIG_FILE).is_file():
            raise ApplianceError("adapter_needs_base", path=str(source))
        elif source.is_dir():
            facts = screen_base(source)
            if facts.chat_template or (source / TOKENIZER).is_file():  # else it is made of another file, once that is copied
                _consider_template(spec, source, facts, emit)
        elif source.is_file():
            told = screen_gguf(source)
        else:
            raise ApplianceError("model_source_missing", path=str(source))
        sources, checksums = _files_to_copy(source, emit)
        sizes = {name: path.stat().st_size for name, path in sources.items()}
    with disk_full_named(place.parent), unfinished_copy(copies, sources, sizes, emit) as copy:
        manifest = _copied(copy, sizes, checksums, emit)
        try:
            if spec.base:
                artifact = _adapter(copy, place, Path(spec.base), emit)
            elif source.is_dir():
                artifact = _base(copy, place, facts, manifest, spec, emit)
            else:
                artifact = _gguf(copy, place, told, manifest, spec.check, emit)
        except ApplianceError as error:
            if not error.code.startswith("out_of_memory"):
                copy.discard()  # whole, and not fit: another try would copy the same
            raise
    emit(Produced(artifact))


def _adapter_facts(source: Path, base: Path, emit: Emit) -> dict[str, Any]:
    if not source.is_dir():
        raise ApplianceError("model_source_missing", path=str(source))
    facts = screen_adapter(source, base)
    if facts["named_base"]:
        emit(Notice("info", "adapter_names_base", {"base": facts["named_base"]}))
    return facts


def _files_to_copy(source: Path, emit: Emit) -> tuple[dict[str, Path], dict[str, str]]:
    """What is copied, by its name, with the checksums that the medium tells of it; what is left out is told.

    Raises ``listed_files_missing`` for files of the model that a list of checksums speaks of and that are not there.
    """
    if source.is_file():
        sources = {source.name: source}
        checksums = listed_checksums(source.parent)
    else:
        kept, left_out = _sorted_files(source)
        sources = {path.relative_to(source).as_posix(): path for path in kept}
        checksums = listed_checksums(source, {str(PurePosixPath(name).parent) for name in sources})
        missing = [name for name in checksums if _is_kept(PurePosixPath(name)) and name not in sources]
        if missing:
            raise ApplianceError("listed_files_missing", path=str(source), count=len(missing), names=", ".join(missing[:5]))
        if left_out:
            emit(Notice("info", "files_left_out", {"count": len(left_out), "names": ", ".join(left_out[:5])}))
    known = {name: digest for name, digest in checksums.items() if name in sources}
    if known:
        emit(Notice("info", "checksums_found", {"count": len(known), "files": len(sources)}))
    return sources, known


def _copied(copy: UnfinishedCopy, sizes: Mapping[str, int], checksums: Mapping[str, str], emit: Emit) -> dict[str, str]:
    """Copy what is not there yet; the checksums of all files by name. Raises ``medium_lost`` with how far it came."""
    total, kept = sum(sizes.values()), copy.kept
    if kept:
        emit(Notice("info", "copy_continued", {"kept": kept, "total": total}))
    emit(Started(total, "bytes", "copy", kept))
    tell, manifest = _counting(emit, kept), dict[str, str]()
    try:
        for name in sizes:
            manifest[name] = copy.bring(name, checksums.get(name), tell).sha256
    except Stopped:
        emit(Notice("info", "copy_kept", {"kept": copy.kept, "total": total}))
        raise
    except ApplianceError as error:
        if error.code == "medium_lost":
            raise ApplianceError("medium_lost_while_copying", **error.parameters, kept=copy.kept, total=total) from error
        raise
    return manifest


def _consider_template(spec: AdoptSpec, folder: Path, facts: BaseFacts, emit: Emit) -> None:
    """See whether the wanted chat template fits the tokenizer in a folder, and offer one to a base that has none.

    Raises what ``fitting_template`` does, and ``template_not_needed`` when the base brings its own and another is named.
    """
    if facts.chat_template:
        if spec.chat_template not in (None, "auto"):
            raise ApplianceError("template_not_needed", ExitCode.USAGE, path=spec.source, template=spec.chat_template)
        return
    if spec.chat_template:
        fitting_template(folder, spec.chat_template)
        return
    try:
        template = fitting_template(folder, "auto")
    except ApplianceError:
        emit(Notice("warning", "template_missing"))
    else:
        emit(Notice("warning", "template_offered", {"template": template.name, "path": shlex.quote(spec.source)}))


def _base(copy: UnfinishedCopy, place: Path, facts: BaseFacts, manifest: dict[str, str], spec: AdoptSpec, emit: Emit) -> Artifact:
    screen_base(copy.data)  # what was copied, not what was there a moment ago
    if not (copy.data / TOKENIZER).is_file():
        write_tokenizer_json(copy.data)
        manifest[TOKENIZER] = file_sha256(copy.data / TOKENIZER)
        emit(Notice("info", "tokenizer_made"))
        _consider_template(spec, copy.data, facts, emit)
    recorded = msgspec.to_builtins(facts)
    if spec.chat_template and not facts.chat_template:
        template = fitting_template(copy.data, spec.chat_template)
        (copy.data / TEMPLATE_FILE).write_text(template.text, "utf-8")
        manifest[TEMPLATE_FILE] = file_sha256(copy.data / TEMPLATE_FILE)
        recorded |= {"chat_template": True, "given_template": template.name}
        emit(Notice("info", "template_given", {"template": template.name}))
    copy.publish_folder(place)
    recorded |= {"manifest": manifest}
    return Artifact(role="base", path=str(place), sha256=manifest_sha256(manifest), size=size_of(place), facts=recorded)


def _adapter(copy: UnfinishedCopy, place: Path, base: Path, emit: Emit) -> Artifact:
    if complete_words(copy.data, base):
        emit(Notice("info", "template_of_base"))
    facts = screen_adapter(copy.data, base)
    manifest = folder_manifest(copy.data)
    copy.publish_folder(place)
    recorded = facts | {"manifest": manifest}
    return Artifact(role="adapter", path=str(place), sha256=manifest_sha256(manifest), size=size_of(place), facts=recorded)


def _gguf(copy: UnfinishedCopy, place: Path, facts: dict[str, Any], manifest: Mapping[str, str], check: bool, emit: Emit) -> Artifact:
    ((name, sha256),) = manifest.items()
    screen_gguf(copy.data / name)
    told: dict[str, Any] = {"done": check}
    if check:
        emit(Started(None, "strings", "check"))
        found = checked(CheckRequest(gguf=str(copy.data / name), compare_template=False))
        told |= {"answer": found.answer, "seconds": found.seconds}
    copy.publish_file(name, place)
    return Artifact(role="gguf", path=str(place), sha256=sha256, size=place.stat().st_size, facts=facts | {"check": told})


def _counting(emit: Emit, kept: int) -> Callable[[int], None]:
    """Turns the bytes of each piece into how many there were so far; looking again at what was ``kept`` is no progress."""
    copied = 0

    def tell(count: int) -> None:
        nonlocal copied
        copied += count
        if copied > kept:
            emit(Progress(copied))

    return tell


def _sorted_files(source: Path) -> tuple[list[Path], list[str]]:
    """What is copied, and the names of what is not; hidden files and folders (``.git``, ``.cache``) are not even counted."""
    kept, left_out = [], []
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        if not path.is_file() or any(part.startswith(".") for part in name.parts):
            continue
        if is_list(path.name):
            continue
        if _is_kept(name):
            kept.append(path)
        else:
            left_out.append(name.as_posix())
    return kept, left_out


def _is_kept(name: PurePath) -> bool:
    return name.suffix.lower() in KEPT_SUFFIXES or name.name.upper().startswith(KEPT_NAMES)
