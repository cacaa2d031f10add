"""What is looked at before a training begins: things that would waste hours or make its figures lie, told or refused in time."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import torch

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Notice
from appliance.domain.methods import times_usual, usual_learning_rate
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.chat_template import ChatTemplate
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.tokenized_rows import TokenizedRows
from appliance.stages.train.mixture import Mixture

VANISHING = 0.01
"""Times the usual learning rate from which downwards nothing is learned in any usual number of steps."""
GPU_USED_BY_OTHERS = 1 << 30
"""Bytes on a GPU, before anything of ours is there, from which somebody else must be at work; the driver alone takes less."""


def consider_rows(mixture: Mixture, validation: TokenizedRows | None, max_length: int, emit: Emit) -> None:
    """Tell how many rows are not used and why; refuse a dataset of which none is left, and a validation that proves nothing.

    A validation row is known to the model from whatever dataset it is trained, be it one that is mixed in.
    """
    rows = mixture.own
    for part, code in ((rows, "rows_left_out"), (validation, "validation_rows_left_out")):
        if part is not None and part.left_out:
            counts = {"too_long": part.too_long, "untrained": part.untrained, "rows": len(part) + part.left_out}
            emit(Notice("warning", code, {**counts, "max_length": max_length}))
        if part is not None and part.cut:
            emit(Notice("warning", code.replace("left_out", "cut"), {"cut": part.cut, "rows": len(part), "max_length": max_length}))
    if not len(rows):
        _refuse_nothing(rows, max_length)
    if validation is not None and len(validation):
        _consider_leak(mixture.rows, validation, emit)


def _refuse_nothing(rows: TokenizedRows, max_length: int) -> None:
    if not rows.left_out:
        raise ApplianceError("no_rows_at_all")
    if rows.untrained == rows.left_out:
        raise ApplianceError("template_trains_nothing", rows=rows.untrained)
    raise ApplianceError("nothing_to_train", rows=rows.left_out, too_long=rows.too_long, max_length=max_length)


def _consider_leak(rows: TokenizedRows, validation: TokenizedRows, emit: Emit) -> None:
    seen = {_content(rows, row) for row in range(len(rows))}
    leaked = sum(_content(validation, row) in seen for row in range(len(validation)))
    if leaked == len(validation):
        raise ApplianceError("validation_is_training", count=leaked)
    if leaked:
        emit(Notice("warning", "validation_leaks", {"count": leaked, "rows": len(validation), "share": leaked / len(validation)}))


def _content(rows: TokenizedRows, row: int) -> bytes:
    """What the model sees of a row, whatever else its file says of it."""
    return blake2b(rows.ids(row).tobytes(), digest_size=16).digest()


def consider_template(tokenizer: Any, emit: Emit) -> None:
    """Tell when the chat template does not end an answer: then no row can teach the model to stop."""
    if tokenizer.chat_template and not ChatTemplate(tokenizer).end_of_turn:  # documents need none
        emit(Notice("warning", "template_without_end", {}))


def consider_rate(recipe: TrainingRecipe, emit: Emit) -> None:
    """Tell when the learning rate is so small that the training could as well be left out."""
    if times_usual(recipe.learning_rate, recipe.method, recipe.objective) <= VANISHING:
        usual = usual_learning_rate(recipe.method, recipe.objective)
        emit(Notice("warning", "learning_rate_vanishing", {"rate": recipe.learning_rate, "usual": usual}))


def consider_gpu_memory(device: Device, emit: Emit) -> None:
    """Tell when other processes hold a part of the GPU's memory; called before anything of ours is there."""
    if device.kind == "cuda":
        free, total = torch.cuda.mem_get_info(device.torch_device)
        tell_of_other_users(free, total, emit)


def tell_of_other_users(free: int, total: int, emit: Emit) -> None:
    """Say how many bytes of a GPU are left; refuse one on which no model could start."""
    used = total - free
    if free < GPU_USED_BY_OTHERS:
        raise ApplianceError("gpu_full", ExitCode.NO_ROOM, used=used, free=free, total=total)
    if used >= GPU_USED_BY_OTHERS:
        emit(Notice("warning", "gpu_shared", {"used": used, "free": free, "total": total}))
