"""A sample of somebody's conversations, seen from the stage: which rows, how many tokens, in which form.

Rendering a chat template takes a library of 100 MB, so it is done in a child.
"""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.stages.export.children import Tell, asked

LONGEST = 2048
"""Tokens of one conversation that are looked at; the rest is cut off."""


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is told."""

    rows: str
    """A dataset's ``rows.jsonl``."""
    tokenizer: str
    """Folder of the base."""
    tokens: int
    """At most so many."""
    text: str = ""
    """File to write the rendered conversations to; empty for none."""
    ids: str = ""
    """File to write the tokens to, see ``sample.py``; empty for none."""


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken."""

    rows: int
    of_rows: int
    """How many the dataset has."""
    tokens: int
    scored: int
    """Tokens that the model has to say itself."""


def sampled(request: SampleRequest, work: Path, tell: Tell) -> Sample:
    """Take the sample; ``tell`` hears how many rows it has.

    Raises ``rows_missing``, ``rows_damaged``, what a chat template raises, or ``sample_failed``.
    """
    ending, sample = asked("appliance.stages.export.sample", request, Sample, work, tell)
    if sample is None:
        raise ApplianceError("sample_failed", ExitCode.RUN_FAILED, path=request.rows, log=ending.log_tail)
    return sample
