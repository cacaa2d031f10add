"""Whether models may learn from a dataset: by its own report, by a check, or because all that it was made from passed."""

from __future__ import annotations

from appliance.domain.dataset import Dataset
from appliance.domain.redaction import FINDS_SCORE, INHERITING_STAGES, RECHECK_FACT, RedactionState
from appliance.store.store import Store


def redaction_state(store: Store, dataset: Dataset) -> RedactionState:
    """The newest check counts before the dataset's own report, and that before its parents."""
    for score in store.scores.newest(dataset.id):
        if score.name == FINDS_SCORE:
            return RedactionState(True, "checked") if score.value == 0 else RedactionState(False, "finds")
    report = dataset.facts.get("redaction")
    if report is not None:
        return RedactionState(True, "redacted") if report["passed"] else RedactionState(False, "open")
    parents = [store.datasets.find(edge.parent) for edge in store.lineage.parents_of(dataset.id)]
    if dataset.facts.get("made_by") not in INHERITING_STAGES or not parents:
        return RedactionState(False, "never")
    if not all(parent is not None and redaction_state(store, parent).passed for parent in parents):
        return RedactionState(False, "never")
    if dataset.facts["made_by"] == "clean" and dataset.facts.get(RECHECK_FACT, {}).get("finds") != 0:
        return RedactionState(False, "changed")
    return RedactionState(True, "inherited")
