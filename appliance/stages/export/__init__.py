"""Export: base + adapter → one GGUF file, or a merged folder, in one pass over the base.

The sum is never written anywhere: rows are read, the adapter's update is added in f32, and the rows go into the result in its type. The
result is checked before it gets its name, so a file that fails its check is never seen. Does not know how the adapter was trained.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact, Emit, Notice, Produced, Progress, Started
from appliance.domain.spec import ExportSpec
from appliance.files.checksum import folder_manifest, manifest_sha256, size_of
from appliance.files.publish import published_file, published_folder
from appliance.files.space import disk_full_named, require_space
from appliance.stages.export import adapter_file
from appliance.stages.export.base_weights import opened_weights
from appliance.stages.export.checking import CheckRequest, checked
from appliance.stages.export.children import work_folder
from appliance.stages.export.fast_quantizer import KINDS, Quantizer, chosen_quantizer
from appliance.stages.export.gguf_file import file_size, write_gguf
from appliance.stages.export.importance import weighed
from appliance.stages.export.measures import importance_matrix, measured_quality, planned_measures, write_full_precision
from appliance.stages.export.merged_folder import write_merged, written_as_planned
from appliance.stages.export.metadata import gguf_head, metadata_bytes
from appliance.stages.export.plan import PlannedTensor, Sum, gguf_tensors, merged_tensors, read_base, sum_of, type_histogram
from appliance.stages.export.pouring import poured
from appliance.stages.export.probe_texts import COUNT as PROBE_TEXTS
from appliance.stages.export.quality import quality_scores
from appliance.stages.export.type_mix import MIXES
from appliance.stages.export.vocabulary import Vocabulary, read_vocabulary


def run(spec: ExportSpec, emit: Emit) -> None:
    """Write, check and publish what the specification asks for."""
    began = time.perf_counter()
    wanted = spec.recipe.merge_into
    dequantized = wanted == "dequantized" or (wanted == "auto" and spec.quantized_base)
    model = sum_of(read_base(Path(spec.base)), Path(spec.adapter) if spec.adapter else None, dequantized=dequantized)
    place = Path(spec.output)
    with disk_full_named(place.parent):
        artifact = _WRITERS[spec.form](spec, model, place, emit)
    facts = {
        **artifact.facts,
        "family": model.base.family.name,
        "tensors": len(model.tensors),
        "parameters": model.parameters,
        "seconds": round(time.perf_counter() - began, 2),
        "peak_memory": _peak_memory(),
    }
    emit(Produced(Artifact(role=artifact.role, path=artifact.path, sha256=artifact.sha256, size=artifact.size, facts=facts)))


def _merge_facts(spec: ExportSpec, model: Sum) -> dict[str, Any]:
    return {"merged_into": "dequantized" if model.is_dequantized else "original"} if spec.adapter else {}


def _gguf(spec: ExportSpec, model: Sum, place: Path, emit: Emit) -> Artifact:
    mix = MIXES[spec.recipe.type]
    vocabulary = read_vocabulary(model.words, int(model.config["vocab_size"]))
    planned = gguf_tensors(model, mix)
    size = file_size(planned, metadata_bytes(vocabulary))
    require_space(place.parent, size)
    quantizer = _quantizer(spec, planned, emit)
    facts: dict[str, Any] = {"type": spec.recipe.type, "types": type_histogram(planned), "normalizer": vocabulary.normalizer}
    facts |= _merge_facts(spec, model)
    facts["quantizer"] = quantizer.name
    with ExitStack() as places:
        measures = planned_measures(spec, model, vocabulary, size, places.enter_context(work_folder(place)), emit)
        write_full_precision(measures, model, vocabulary, spec.name, emit)
        head = gguf_head(model, vocabulary, mix, spec.name)
        importance = None
        if measures.importance is not None:
            matrix = place.with_name(f"{place.stem}.imatrix.gguf")
            importance, facts["importance"] = importance_matrix(spec, measures, places.enter_context(published_file(matrix)), emit)
            facts["importance"]["file"] = matrix.name
            importance.add_to(head, matrix.name)
        partial = places.enter_context(published_file(place))
        emit(Started(model.stored_bytes, "bytes", "merge_quantize"))
        with model.opened() as reader:
            pieces = poured(planned, reader, weighed(importance, quantizer.quantize))
            sha256 = write_gguf(partial, head, planned, pieces, lambda done: emit(Progress(done)))
        facts["check"] = _check(spec, partial, model.words, vocabulary, emit)
        facts["quality"] = measured_quality(spec, measures, partial, emit)
        facts["scores"] = quality_scores(facts["quality"])
    return Artifact(role="gguf", path=str(place), sha256=sha256, size=place.stat().st_size, facts=facts)


def _quantizer(spec: ExportSpec, planned: list[PlannedTensor], emit: Emit) -> Quantizer:
    chosen = chosen_quantizer(spec.recipe.quantizer, sum(tensor.elements for tensor in planned if tensor.kind in KINDS))
    if chosen.refused:
        emit(Notice("warning", chosen.refused))
    return chosen


def _check(spec: ExportSpec, partial: Path, words: Path, vocabulary: Vocabulary, emit: Emit) -> dict[str, Any]:
    if not spec.check:
        emit(Notice("warning", "check_left_out"))
        return {"done": False}
    tokenizer = str(words / "tokenizer.json")
    emit(Started(PROBE_TEXTS, "strings", "check"))
    request = CheckRequest(gguf=str(partial), tokenizer=tokenizer, template=vocabulary.chat_template)
    found = checked(request, lambda done: emit(Progress(done)))
    return {"done": True, "strings": found.strings, "mismatches": 0, "answer": found.answer, "seconds": found.seconds}


def _merged(spec: ExportSpec, model: Sum, place: Path, emit: Emit) -> Artifact:
    planned = merged_tensors(model)
    require_space(place.parent, model.stored_bytes + (64 << 20))
    with published_folder(place) as partial:
        emit(Started(model.stored_bytes, "bytes", "merge_quantize"))
        with model.opened() as reader:
            write_merged(partial, model, planned, reader, lambda done: emit(Progress(done)))
        if spec.check:
            emit(Started(None, "strings", "check"))
            _refuse_other_than_planned(partial, planned)
        manifest = folder_manifest(partial)
    return Artifact(
        role="merged",
        path=str(place),
        sha256=manifest_sha256(manifest),
        size=size_of(place),
        facts={"manifest": manifest, "check": {"done": spec.check}, **_merge_facts(spec, model)},
    )


def _adapter(spec: ExportSpec, model: Sum, place: Path, emit: Emit) -> Artifact:
    with opened_weights(model.files) as reader:
        updates = adapter_file.adapter_updates(model, reader)
        planned = adapter_file.adapter_tensors(model, updates)
        size = file_size(planned, metadata_bytes=1 << 12)
        require_space(place.parent, size)
        with published_file(place) as partial:
            emit(Started(sum(update.down.size + update.up.size for update in updates.values()), "bytes", "write_adapter"))
            head = adapter_file.adapter_head(model, updates, spec.name or place.stem)
            pieces = adapter_file.adapter_pieces(model, updates, planned, reader)
            sha256 = write_gguf(partial, head, planned, pieces, lambda done: emit(Progress(done)))
            if spec.check and not adapter_file.written_as_planned(partial, planned):
                raise ApplianceError("merged_incomplete", ExitCode.RUN_FAILED)
    facts = {"alpha": adapter_file.common_alpha(updates), "modules": len(updates), "check": {"done": spec.check}}
    return Artifact(role="gguf_adapter", path=str(place), sha256=sha256, size=place.stat().st_size, facts=facts)


_WRITERS: dict[str, Callable[[ExportSpec, Sum, Path, Emit], Artifact]] = {"gguf": _gguf, "merged": _merged, "adapter": _adapter}


def _peak_memory() -> int:
    """Most bytes this process has held; unlike ``ru_maxrss`` it does not begin with what the parent held."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) * 1024 if found else 0


def _refuse_other_than_planned(partial: Path, planned: list[PlannedTensor]) -> None:
    if not written_as_planned(partial, planned):
        raise ApplianceError("merged_incomplete", ExitCode.RUN_FAILED)
