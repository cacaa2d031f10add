"""When validation says that enough has been learned: a function of the validations so far, so that a resumed run decides the same."""

from __future__ import annotations

from collections.abc import Sequence

from appliance.stages.train.history import ValidationRecord


def has_stopped_improving(validations: Sequence[ValidationRecord], patience: int, min_delta: float) -> bool:
    """Whether the last ``patience`` validations were all no better, by more than ``min_delta`` nats, than the best before them.

    A patience of 0 means that nobody asked.
    """
    best, waited = float("inf"), 0
    for record in validations:
        if record.loss < best - min_delta:
            best, waited = record.loss, 0
        else:
            waited += 1
    return 0 < patience <= waited
