"""From artefacts to rows: a stage's results enter the registry in one transaction, after they are in their place."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable

from appliance.domain.dataset import Dataset
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Artifact
from appliance.domain.home import Home
from appliance.domain.model import Model, Parent, Score
from appliance.domain.run import PlannedStage, Publication
from appliance.store.store import Store


def publish(store: Store, run_id: str, planned: PlannedStage, artifacts: Iterable[Artifact]) -> None:
    """Write the rows that the plan promised; call it inside a transaction.

    Raises ``name_taken`` if somebody else took the name meanwhile, ``result_missing`` if the stage did not produce what it promised.
    """
    by_role = {artifact.role: artifact for artifact in artifacts}
    for publication in planned.publications:
        artifact = by_role.get(publication.role)
        if artifact is None:
            raise ApplianceError("result_missing", ExitCode.RUN_FAILED, stage=planned.stage, role=publication.role)
        if publication.noun == "score":
            _add_scores(store, run_id, publication, artifact)
            continue
        _refuse_taken_name(store, publication)
        if publication.noun == "dataset":
            store.datasets.add(_dataset(run_id, planned.stage, publication, artifact))
        else:
            store.models.add(_model(run_id, publication, artifact))
            for name, value in artifact.facts.get("scores", {}).items():
                store.scores.add(Score(model_id=publication.id, name=name, value=value, run_id=run_id, created=time.time()))
        for parent, role in publication.parents:
            store.lineage.add(Parent(child=publication.id, parent=parent, role=role))


def sweep_unpublished(store: Store, home: Home, planned: PlannedStage) -> None:
    """Remove what an earlier, broken try of this stage left without a row: it was never announced, so nobody can miss it."""
    for publication in planned.publications:
        known = {"dataset": store.datasets.find, "model": store.models.find}.get(publication.noun)
        if known is not None and known(publication.id) is None:
            shutil.rmtree(home.artefact(publication.noun, publication.id), ignore_errors=True)


def _dataset(run_id: str, stage: str, publication: Publication, artifact: Artifact) -> Dataset:
    facts = {**artifact.facts, "made_by": stage}
    return Dataset(
        id=publication.id,
        name=publication.name,
        # What the rows are is known once they were read.
        kind=facts.pop("kind", "conversations"),
        path=artifact.path,
        sha256=artifact.sha256,
        size=artifact.size,
        counts=facts.pop("counts"),
        facts=facts,
        run_id=run_id,
        created=time.time(),
    )


def _model(run_id: str, publication: Publication, artifact: Artifact) -> Model:
    return Model(
        id=publication.id,
        name=publication.name,
        kind=publication.kind,  # type: ignore[arg-type]  # the plan's kind was a ModelKind before it became JSON
        path=artifact.path,
        sha256=artifact.sha256,
        size=artifact.size,
        facts=artifact.facts,
        run_id=run_id,
        created=time.time(),
    )


def _add_scores(store: Store, run_id: str, publication: Publication, artifact: Artifact) -> None:
    details = {name: value for name, value in artifact.facts.items() if name != "scores"} | {"report": artifact.path}
    for name, value in artifact.facts["scores"].items():
        store.scores.add(Score(model_id=publication.id, name=name, value=value, facts=details, run_id=run_id, created=time.time()))


def _refuse_taken_name(store: Store, publication: Publication) -> None:
    find = store.datasets.find if publication.noun == "dataset" else store.models.find
    if find(publication.name) is not None:
        raise ApplianceError("name_taken", ExitCode.USAGE, name=publication.name)
