"""What is measured around quantization: an importance matrix before it, the quality after it.

Both run the model over a sample of somebody's conversations and need it in full precision, as a file that llama.cpp loads. Sample, room and
time are told before anything big is written; what is only needed on the way lies in the export's work folder and is gone with it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Notice, Progress, Started
from appliance.domain.spec import ExportSpec
from appliance.files.space import require_space
from appliance.stages.export.children import Tell
from appliance.stages.export.costs import require_memory, seconds_for, working_memory
from appliance.stages.export.gguf_file import file_size, write_gguf
from appliance.stages.export.importance import CONTEXT, Importance, chunks_of, collect_importance, read_importance
from appliance.stages.export.metadata import gguf_head, metadata_bytes
from appliance.stages.export.plan import Sum, gguf_tensors
from appliance.stages.export.pouring import gguf_bytes, poured
from appliance.stages.export.quality import CONTEXT as COMPARED_CONTEXT
from appliance.stages.export.quality import NEXT_LARGER, PIECE, compared, quality_facts, tell_quality
from appliance.stages.export.sampling import Sample, SampleRequest, sampled
from appliance.stages.export.type_mix import MIXES
from appliance.stages.export.vocabulary import Vocabulary

_MARGIN = 64 << 20
"""Bytes for samples, requests and logs."""


@dataclass(frozen=True)
class Measures:
    """What will be measured, and on what."""

    work: Path
    importance: Sample | None = None
    quality: Sample | None = None
    left_out: str = ""
    """Why there is no quality: ``check`` (nobody wants it), ``full_precision``, ``no_rows``, ``no_answers``, ``no_room``."""

    @property
    def full(self) -> Path:
        """The full-precision file."""
        return self.work / "full.gguf"

    @property
    def ids(self) -> Path:
        """Tokens of the quality's sample."""
        return self.work / "quality.npz"

    def text(self, spec: ExportSpec) -> Path:
        """Text of the matrix's sample; its name is what the matrix remembers."""
        return self.work / f"{spec.importance_name}.txt"


def planned_measures(spec: ExportSpec, model: Sum, vocabulary: Vocabulary, result_size: int, work: Path, emit: Emit) -> Measures:
    """Take the samples and tell what they will cost; without room for it the quality is left out.

    A matrix is there because somebody asked for it, so that it raises: ``importance_too_small``, ``disk_too_small``, ``memory_too_small``.
    """
    measures = _with_quality_sample(spec, model, _with_importance_sample(spec, model, Measures(work), emit), emit)
    full_size = file_size(gguf_tensors(model, MIXES["f16"]), metadata_bytes(vocabulary)) + _MARGIN
    parameters = model.parameters
    memory = partial(working_memory, model.base.family.metadata(model.config), len(vocabulary.tokens))
    place = Path(spec.output).parent
    if measures.importance is not None:
        told = _told(measures.importance, full_size, memory(CONTEXT, CONTEXT, models=1), full_size)
        emit(Notice("info", "importance_costs", told | {"seconds": seconds_for(parameters, measures.importance.tokens)}))
        require_space(place, result_size + told["disk"])
        require_memory(told["memory"])
    if measures.quality is not None:
        told = _told(measures.quality, full_size, memory(COMPARED_CONTEXT, PIECE, models=2), full_size + result_size)
        try:
            require_space(place, result_size + told["disk"])
            require_memory(told["memory"])
        except ApplianceError as lacking:
            is_disk = lacking.code == "disk_too_small"
            emit(Notice("warning", "quality_left_out_no_disk" if is_disk else "quality_left_out_no_memory", lacking.parameters))
            return replace(measures, quality=None, left_out="no_room")
        emit(Notice("info", "quality_costs", told | {"seconds": 2 * seconds_for(parameters, measures.quality.tokens)}))
    return measures


def write_full_precision(measures: Measures, model: Sum, vocabulary: Vocabulary, name: str, emit: Emit) -> None:
    """Base + adapter in f16, or in bf16 when a weight is too large for f16; nothing when nothing is measured."""
    if measures.importance is None and measures.quality is None:
        return
    try:
        _write_as("f16", measures.full, model, vocabulary, name, emit)
    except ApplianceError as error:
        if error.code != "quantized_invalid":
            raise
        _write_as("bf16", measures.full, model, vocabulary, name, emit)


def importance_matrix(spec: ExportSpec, measures: Measures, target: Path, emit: Emit) -> tuple[Importance, dict[str, Any]]:
    """Collect the matrix into ``target``: the matrix, and what is kept about it."""
    assert measures.importance is not None  # it is only called when one is wanted
    chunks, context = chunks_of(measures.importance.tokens)
    emit(Started(chunks * context, "tokens", "importance"))
    collect_importance(measures.full, measures.text(spec), (chunks, context), target, measures.work, _teller(emit))
    importance = read_importance(target)
    sample = {"rows": measures.importance.rows, "of_rows": measures.importance.of_rows, "tokens": chunks * context}
    return importance, {"dataset": spec.importance_name, **sample, "entries": len(importance.columns)}


def measured_quality(spec: ExportSpec, measures: Measures, quantized: Path, emit: Emit) -> dict[str, Any]:
    """Compare the quantized file with full precision and tell the result; what is kept about it."""
    if measures.quality is None:
        return {"done": False, "reason": measures.left_out}
    emit(Started(measures.quality.tokens, "tokens", "quality"))
    facts = quality_facts(compared(measures.full, quantized, measures.ids, measures.work, _teller(emit)))
    facts |= {"rows": measures.quality.rows, "of_rows": measures.quality.of_rows}
    tell_quality(facts, spec.recipe, emit)
    return facts


def _with_importance_sample(spec: ExportSpec, model: Sum, measures: Measures, emit: Emit) -> Measures:
    if not spec.importance_rows:
        return measures
    emit(Started(None, "rows", "sample"))
    text, tokens = str(measures.text(spec)), spec.recipe.imatrix_tokens
    request = SampleRequest(rows=spec.importance_rows, tokenizer=str(model.words), tokens=tokens, text=text)
    sample = sampled(request, measures.work, _teller(emit))
    chunks_of(sample.tokens)
    return replace(measures, importance=sample)


def _with_quality_sample(spec: ExportSpec, model: Sum, measures: Measures, emit: Emit) -> Measures:
    if not spec.check:
        return replace(measures, left_out="check")
    if spec.recipe.type not in NEXT_LARGER:
        return replace(measures, left_out="full_precision")
    if not spec.validation_rows:
        emit(Notice("info", "quality_left_out_no_rows"))
        return replace(measures, left_out="no_rows")
    emit(Started(None, "rows", "sample"))
    request = SampleRequest(rows=spec.validation_rows, tokenizer=str(model.words), tokens=spec.recipe.check_tokens, ids=str(measures.ids))
    sample = sampled(request, measures.work, _teller(emit))
    if sample.scored == 0:
        emit(Notice("warning", "quality_left_out_no_answers", {"path": spec.validation_rows}))
        return replace(measures, left_out="no_answers")
    return replace(measures, quality=sample)


def _write_as(kind: str, path: Path, model: Sum, vocabulary: Vocabulary, name: str, emit: Emit) -> None:
    planned = gguf_tensors(model, MIXES[kind])
    emit(Started(model.stored_bytes, "bytes", "full_precision"))
    path.unlink(missing_ok=True)
    with model.opened() as reader:
        write_gguf(path, gguf_head(model, vocabulary, MIXES[kind], name), planned, poured(planned, reader, gguf_bytes), _teller(emit))


def _told(sample: Sample, disk: int, memory: int, weights: int) -> dict[str, Any]:
    return {"tokens": sample.tokens, "rows": sample.rows, "disk": disk, "memory": memory, "weights": weights}


def _teller(emit: Emit) -> Tell:
    return lambda done: emit(Progress(done))
