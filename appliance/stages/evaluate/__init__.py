"""Evaluate: one model is examined on held-out conversations and on an exam, and the report is published.

A base, a base with its adapter, or a GGUF file; one process examines one model. The loss is measured for the first two only: llama-server
does not tell how likely a given answer was. It knows neither what the scores were before nor what is good enough.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from msgspec import structs

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Metric, Notice, Produced
from appliance.domain.spec import EvaluateSpec
from appliance.files.space import disk_full_named
from appliance.stages.evaluate.exam import Question, read_exam
from appliance.stages.evaluate.report import LossResult, Report, marked, publish_report


def run(spec: EvaluateSpec, emit: Emit) -> None:
    """Read the exam, let the model answer and predict, mark the answers, publish the report."""
    began = time.monotonic()
    questions = read_exam(Path(spec.exam)) if spec.exam else []
    if not questions and not spec.rows:
        raise ApplianceError("nothing_to_examine")
    with disk_full_named(Path(spec.output)):
        loss, answers = _examine_gguf(spec, questions, emit) if spec.gguf else _examine_folder(spec, questions, emit)
        merged: dict[str, float] = {}
        if spec.measure_merge and loss is not None:
            used, other = ("dequantized", "original") if spec.quantized_base else ("original", "dequantized")
            compared, _ = _examine_folder(structs.replace(spec, quantized_base=not spec.quantized_base), [], emit)
            assert compared is not None  # the same rows were measured a moment ago
            merged = {used: loss.loss, other: compared.loss}
        report = Report(
            model={"base": spec.base, "adapter": spec.adapter, "gguf": spec.gguf, "quantized_base": spec.quantized_base},
            loss=loss,
            exam=[marked(question, answers[question.id]) for question in questions],
            seconds=round(time.monotonic() - began, 3),
            merged=merged,
        )
        for name, value in report.scores().items():
            emit(Metric(name, 0, value))
        emit(Produced(publish_report(report, Path(spec.output))))


def _examine_gguf(spec: EvaluateSpec, questions: list[Question], emit: Emit) -> tuple[None, dict[str, str]]:
    from appliance.stages.evaluate.served import served_answers

    if spec.rows:
        emit(Notice("info", "loss_not_measured"))
    if spec.device == "cuda":
        from appliance.stages.language_model.device import choose_device  # brings torch, which is needed for nothing else here

        choose_device("cuda", emit)
    log = Path(spec.output).with_suffix(".llama-server.log")
    return None, served_answers(Path(spec.gguf), questions, log, use_gpu=spec.device != "cpu", emit=emit)


def _examine_folder(spec: EvaluateSpec, questions: list[Question], emit: Emit) -> tuple[LossResult | None, dict[str, str]]:
    from appliance.stages.evaluate.answering import generated_answers
    from appliance.stages.language_model.device import choose_device, memory_errors_named
    from appliance.stages.language_model.loading import load_model, load_tokenizer, quiet_libraries
    from appliance.stages.language_model.loss import mean_loss
    from appliance.stages.language_model.tokenized_rows import tokenize_rows
    from appliance.stages.language_model.tokenizer import tokenizer_folder

    quiet_libraries()
    base, adapter = Path(spec.base), Path(spec.adapter) if spec.adapter else None
    with memory_errors_named():
        device = choose_device(spec.device, emit)
        tokenizer = load_tokenizer(tokenizer_folder(base, adapter))
        rows = tokenize_rows(Path(spec.rows), tokenizer, spec.max_length, emit) if spec.rows else None
        if rows is not None and not len(rows):
            raise ApplianceError("nothing_to_predict", rows=rows.left_out, max_length=spec.max_length)
        model = load_model(
            base, adapter, device, quantize=spec.quantized_base, emit=emit, cache=Path(spec.cache, "nf4") if spec.cache else None
        )
        loss = None
        if rows is not None:
            mean = mean_loss(model, rows, device, emit=emit)
            # exp of a loss beyond 700 does not fit into a float; such a model knows nothing.
            loss = LossResult(mean.value, math.exp(min(mean.value, 700.0)), len(rows), rows.left_out, mean.tokens)
        answers = generated_answers(model, tokenizer, device, questions, emit) if questions else {}
    return loss, answers
