"""Publishes a dataset of one row, properly."""

from pathlib import Path

from appliance.domain.event import Artifact, Emit, Produced, Progress, Started
from appliance.files.checksum import file_sha256
from appliance.files.publish import published_folder
from tests.running.attacks.spec import AttackSpec


def run(spec: AttackSpec, emit: Emit) -> None:
    """Write, publish, tell."""
    emit(Started(1, "rows"))
    place = Path(spec.output)
    with published_folder(place) as folder:
        (folder / "rows.jsonl").write_text('{"messages":[]}\n')
    emit(Progress(1))
    rows = place / "rows.jsonl"
    facts = {"counts": {"rows": 1}}
    emit(Produced(Artifact(role="dataset", path=str(place), sha256=file_sha256(rows), size=rows.stat().st_size, facts=facts)))
