"""What is asked of the plan is what the training will do: the same rows, of splits that were not made yet their shares."""

from __future__ import annotations

from pathlib import Path

import msgspec

from appliance.domain.identity import new_id
from appliance.domain.model import Model
from appliance.domain.recipe import build_recipe
from appliance.domain.spec import MixedRows
from appliance.services.plans import estimate_of
from appliance.services.training_choice import TrainingChoice
from appliance.services.workbench import Workbench


def test_a_plan_asks_for_what_will_be_trained(workbench: Workbench, tmp_path: Path) -> None:
    """Own rows without validation and test, held-out ones, the usual share of general rows, other datasets and terms."""
    rows = workbench.datasets.get("rows")
    for name in ("others", "general"):
        workbench.store.datasets.add(msgspec.structs.replace(rows, id=new_id("data"), name=name, path=str(tmp_path / name)))
    workbench.store.models.add(Model(id=new_id("model"), name="base", kind="base", path=str(tmp_path), sha256="", size=0, created=0.0))
    terms = tmp_path / "terms.txt"
    terms.write_text("绿波\n", "utf-8")
    recipe = build_recipe({"split": {"validation_share": 0.2, "test_share": 0.1}})
    choice = TrainingChoice(
        "base", "rows", recipe, device="cpu", terms=terms, general="general", mix=("others=0.3",), without_redaction=True
    )
    _, plan = workbench.models.plan_training(choice, "tuned")
    asked = estimate_of(plan)
    own, general = str(Path(rows.path) / "rows.jsonl"), str(tmp_path / "general" / "rows.jsonl")
    assert (asked.rows, asked.validation_rows, asked.general_rows) == (own, own, general)
    assert (round(asked.share, 9), asked.validation_share, asked.general_share) == (0.7, 0.2, 0.2)
    others = MixedRows(name="others", rows=str(tmp_path / "others" / "rows.jsonl"), share=0.3)
    assert set(asked.mixed) == {others, MixedRows(name="general", rows=general, share=0.2)}
    assert (asked.terms, asked.device, asked.recipe) == (("绿波",), "cpu", recipe.training)
