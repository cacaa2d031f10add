"""Shares of datasets that are mixed in, as people write them."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.identity import new_id
from appliance.domain.model import Model
from appliance.domain.recipe import Recipe, build_recipe
from appliance.services.mixing import shares_of_mix
from appliance.services.training_choice import TrainingChoice
from appliance.services.workbench import Workbench


def test_names_and_shares() -> None:
    """A name with a share, a name alone for the usual fifth, and zero for nothing."""
    assert shares_of_mix(["laws=0.3", "general", "watched=0"]) == {"laws": 0.3, "general": 0.2, "watched": 0.0}
    assert shares_of_mix([]) == {}


@pytest.mark.parametrize("option", ["", "=0.2", "general=", "general=x", "general=-0.1", "general=1", "general=nan", "general=20%"])
def test_what_is_no_share_is_named(option: str) -> None:
    """Anything but a name and a number from 0 to below 1 is one sentence."""
    with pytest.raises(ApplianceError, match="mix_malformed") as caught:
        shares_of_mix([option])
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_dataset_is_named_once() -> None:
    """The same dataset twice is a slip."""
    with pytest.raises(ApplianceError, match="mix_malformed"):
        shares_of_mix(["a=0.1", "a=0.2"])


def test_something_is_left_of_the_dataset() -> None:
    """All shares together leave room for what is to be learned."""
    assert sum(shares_of_mix(["a=0.45", "b=0.45"]).values()) == pytest.approx(0.9)
    with pytest.raises(ApplianceError, match="mix_too_large"):
        shares_of_mix(["a=0.5", "b=0.45"])
    assert shares_of_mix(["a=0.1", "b=0.2", "c=0.6"])


def test_general_rows_count_among_what_is_mixed_in(workbench: Workbench, tmp_path: Path) -> None:
    """The usual share of a general dataset is added to that of the others before the limit; nothing is started beyond it."""
    rows = workbench.datasets.get("rows")
    for name in ("others", "general"):
        workbench.store.datasets.add(msgspec.structs.replace(rows, id=new_id("data"), name=name))
    workbench.store.models.add(Model(id=new_id("model"), name="base", kind="base", path=str(tmp_path), sha256="", size=0, created=0.0))
    before = len(list(workbench.runs.newest()))
    for share in (0.71, 0.79, 0.8, 0.85, 0.9):
        mix = (f"others={share}",)
        with pytest.raises(ApplianceError, match="mix_too_large") as caught:
            workbench.models.start_training(
                TrainingChoice("base", "rows", Recipe(), general="general", mix=mix, without_redaction=True), "tuned"
            )
        assert caught.value.parameters["share"] == pytest.approx(share + 0.2)
    assert len(list(workbench.runs.newest())) == before


def test_what_is_watched_is_never_trained(workbench: Workbench, tmp_path: Path) -> None:
    """A mix that names the watched side of the general dataset, or all of one that is not split, is refused."""
    rows = workbench.datasets.get("rows")
    general = msgspec.structs.replace(rows, id=new_id("data"), name="general")
    side = msgspec.structs.replace(rows, id=new_id("data"), name="general-validation", facts={"side": "validation"})
    for dataset in (general, side):
        workbench.store.datasets.add(dataset)
    workbench.store.models.add(Model(id=new_id("model"), name="base", kind="base", path=str(tmp_path), sha256="", size=0, created=0.0))
    whole = build_recipe({"split": {"validation_share": 0.0}})
    for watched, mix, recipe in (("general-validation", "general-validation=0.2", Recipe()), ("general", "general=0.3", whole)):
        choice = TrainingChoice("base", "rows", recipe, general=watched, mix=(mix,), without_redaction=True)
        with pytest.raises(ApplianceError, match="watched_is_mixed"):
            workbench.models.plan_training(choice, "tuned")
    workbench.models.plan_training(
        TrainingChoice("base", "rows", Recipe(), general="general", mix=("general=0.1",), without_redaction=True), "tuned"
    )
