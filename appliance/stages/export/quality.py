"""How much the quantized model has lost, seen from the stage: it is compared with full precision on held-out conversations.

The figures are told and kept; beyond the recipe's limits the stage says so and names the next larger type, but the file is published: the
person decides.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Metric, Notice
from appliance.domain.recipe import ExportRecipe
from appliance.stages.export.children import Tell, asked
from appliance.stages.export.sampling import LONGEST

CONTEXT = LONGEST
"""Tokens that attend to each other at most."""
PIECE = 256
"""Tokens whose logits exist together."""

NEXT_LARGER = {"q4_k_m": "q5_k_m", "q5_k_m": "q6_k", "q6_k": "q8_0", "q8_0": "f16"}
"""What to try when a type loses too much."""


class CompareRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    full: str
    quantized: str
    ids: str
    """The sample's tokens, see ``sample.py``."""


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """What the child found; losses and divergence in nats per token."""

    tokens: int
    loss_full: float
    loss: float
    kl_divergence: float
    kl_divergence_error: float
    """Standard error of the mean."""
    same_top: float
    """Share of tokens for which both models prefer the same one."""
    seconds: float


def compared(full: Path, quantized: Path, ids: Path, work: Path, tell: Tell) -> Comparison:
    """Compare two files; raises ``check_crashed``, ``check_load_failed`` or ``check_not_finite``."""
    request = CompareRequest(full=str(full), quantized=str(quantized), ids=str(ids))
    ending, found = asked("appliance.stages.export.compare", request, Comparison, work, tell)
    if found is None:
        if ending.signal is not None:
            raise ApplianceError("check_crashed", ExitCode.RUN_FAILED, signal=ending.parameters["signal"], log=ending.log_tail)
        raise ApplianceError("check_load_failed", ExitCode.RUN_FAILED, name=quantized.name, log=ending.log_tail)
    return found


def quality_facts(found: Comparison) -> dict[str, Any]:
    """The figures as they are stored."""
    return {
        "done": True,
        "tokens": found.tokens,
        "perplexity_full": _perplexity(found.loss_full),
        "perplexity": _perplexity(found.loss),
        "perplexity_ratio": _perplexity(found.loss - found.loss_full),
        "kl_divergence": found.kl_divergence,
        "kl_divergence_error": found.kl_divergence_error,
        "same_top": found.same_top,
        "seconds": found.seconds,
    }


def quality_scores(facts: dict[str, Any]) -> dict[str, float]:
    """The figures that are listed beside a model's other scores, if they were measured."""
    return {name: facts[name] for name in ("perplexity", "perplexity_full", "kl_divergence", "same_top") if name in facts}


def tell_quality(facts: dict[str, Any], recipe: ExportRecipe, emit: Emit) -> None:
    """Say the figures, and a warning with the next larger type when one of them is beyond its limit."""
    for name, value in quality_scores(facts).items():
        emit(Metric(name, 0, value))
    emit(Notice("info", "quality_measured", facts))
    is_bad = (
        facts["perplexity_ratio"] > recipe.max_perplexity_ratio
        or facts["kl_divergence"] > recipe.max_kl_divergence
        or facts["same_top"] < recipe.min_same_top
    )
    facts["within_limits"] = not is_bad
    if is_bad:
        limits = {name: getattr(recipe, name) for name in ("max_perplexity_ratio", "max_kl_divergence", "min_same_top")}
        emit(Notice("warning", "quality_beyond_limits", {**facts, **limits, "type": recipe.type, "larger": NEXT_LARGER[recipe.type]}))


def _perplexity(loss: float) -> float:
    # exp of a loss beyond 700 does not fit into a float; such a model knows nothing.
    return math.exp(min(loss, 700.0))
