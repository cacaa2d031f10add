"""Against forgetting: blocks thaw one after another, and the loss on general rows is watched from before the first step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

from appliance.domain.conversation import Conversation
from appliance.domain.event import Metric, Notice
from appliance.domain.recipe import TrainingRecipe
from appliance.processes.stopping import Stopped
from appliance.stages.language_model import token_cache
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import family_in, load_base, load_model, load_tokenizer
from appliance.stages.language_model.loss import mean_loss
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.train.diagnosis import Doctor
from appliance.stages.train.history import ValidationRecord
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.full import thawed_blocks
from appliance.stages.train.methods.learner import Preparation
from tests.stages.language_model.tiny import conversation, write_rows
from tests.stages.train.test_resume import stop_after
from tests.stages.train.training import Trained


@given(total=st.integers(1, 500), blocks=st.integers(1, 80), share=st.floats(0.01, 1.0))
def test_blocks_thaw_one_after_another(total: int, blocks: int, share: float) -> None:
    """At least the last block is trained from the start, none freezes again, and from the share of the steps on all are trained."""
    thawed = [thawed_blocks(step, total, blocks, share) for step in range(1, total + 1)]
    assert thawed[0] >= 1
    assert thawed == sorted(thawed)
    assert max(thawed) <= blocks + 1
    assert all(count == blocks + 1 for count in thawed[max(1, round(share * total)) :])


def test_last_block_learns_first(base: Path, cpu: Device) -> None:
    """First the last block with norm and head, then the block before it, and at last the embedding."""
    recipe = TrainingRecipe(method="full", unfreeze="layer_wise", unfreeze_share=1.0)
    learner = new_learner(Preparation(load_base(base, cpu, quantize=False), family_in(base), recipe))
    seen = []
    for step in (1, 2, 3):
        learner.begin_step(step, 3)
        names = [name for name, parameter in learner.model.named_parameters() if parameter.requires_grad]
        seen.append({name.split(".")[2] if ".layers." in name else name.removeprefix("model.") for name in names})
    always = {"1", "norm.weight", "lm_head.weight"}
    assert seen == [always, always | {"0"}, always | {"0", "embed_tokens.weight"}]


def test_unfreezing_resumes_as_it_was(qwen2: Path, tmp_path: Path) -> None:
    """A stopped run with layer-wise unfreezing goes on to the very weights of the unbroken one."""
    settings: dict[str, Any] = {
        "method": "full",
        "learning_rate": 0.002,
        "unfreeze": "layer_wise",
        "unfreeze_share": 1.0,
        "dropout": 0.0,
        "epochs": 2.0,
    }
    unbroken = Trained(qwen2, tmp_path / "a", **settings).run()
    stopped = Trained(qwen2, tmp_path / "b", listener=stop_after(2), **settings)
    with pytest.raises(Stopped):
        stopped.run()
    stopped.run()
    ours, theirs = (load_file(Path(run.spec.output) / "model.safetensors") for run in (stopped, unbroken))
    assert stopped.history.steps == unbroken.history.steps
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


def test_general_loss_is_watched(qwen2: Path, tmp_path: Path, cpu: Device) -> None:
    """General rows are measured before the first step, at every validation and at the end; they are never trained."""
    trained = Trained(qwen2, tmp_path / "t", epochs=2.0)
    general = write_rows(tmp_path / "general.jsonl", [conversation(f"What is {number}?", f"It is {number}.") for number in range(6)])
    trained.spec = msgspec.structs.replace(trained.spec, general_rows=str(general))
    facts, history = trained.run().artifact.facts, trained.history
    rows = tokenize_rows(general, load_tokenizer(qwen2), 1024, lambda _event: None)
    bare = load_base(qwen2, cpu, quantize=True)
    after = load_model(qwen2, Path(trained.spec.output), cpu, quantize=True, emit=lambda _event: None)
    assert [record.step for record in history.general] == [0, 3, 6]
    assert [event.value for event in trained.of(Metric) if event.name == "general_loss"] == [record.loss for record in history.general]
    assert history.general[0].loss == pytest.approx(mean_loss(bare, rows, cpu).value, rel=1e-6)
    assert facts["general_loss"] == pytest.approx(mean_loss(after, rows, cpu).value, rel=1e-6)
    assert facts["general_loss_before"] == history.general[0].loss
    assert facts["rows"] == 24


def general_training(base: Path, folder: Path, general: list[Conversation], **recipe: Any) -> Trained:
    """A step of training that watches general rows."""
    trained = Trained(base, folder, max_steps=1, dropout=0.0, **recipe)
    rows = write_rows(folder / "general.jsonl", general)
    trained.spec = msgspec.structs.replace(trained.spec, general_rows=str(rows), cache=str(folder.parent / "cache"))
    return trained


def test_general_rows_that_cannot_be_measured_are_told(qwen2: Path, tmp_path: Path) -> None:
    """General rows that are too long or without an answer are counted; where none is left, it is said that nothing is watched."""
    long, silent, good = conversation("问" * 200, "答"), conversation("问"), conversation("问", "答")
    some = general_training(qwen2, tmp_path / "some", [long, silent, good, good], max_length=128).run()
    counts = {"rows": 4, "max_length": 128, "too_long": 1, "untrained": 1}
    assert Notice("warning", "general_rows_left_out", counts) in some.events
    assert "general_loss" in some.artifact.facts
    cut = general_training(qwen2, tmp_path / "cut", [good, conversation("问", "答" * 200)], max_length=128, long_rows="cut").run()
    assert Notice("warning", "general_rows_cut", {"rows": 2, "max_length": 128, "cut": 1}) in cut.events
    for name, rows in (("long", [long, silent]), ("empty", [])):
        none = general_training(qwen2, tmp_path / name, rows, max_length=128).run()
        assert Notice("warning", "general_rows_unusable", {"rows": len(rows), "max_length": 128}) in none.events
        assert not [event for event in none.of(Metric) if event.name == "general_loss"]


def test_second_time_no_general_row_is_tokenized(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """General rows come from the cache like the others, and their loss is the same."""
    rows = [conversation(f"What is {number}?", f"It is {number}.") for number in range(6)]
    first = general_training(qwen2, tmp_path / "a", rows).run()
    monkeypatch.setattr(token_cache, "tokenize_rows", lambda *_arguments: pytest.fail("tokenized again"))
    again = general_training(qwen2, tmp_path / "b", rows).run()
    assert again.history.general == first.history.general
    assert len(first.history.general) == 2


def test_forgetting_is_named_once() -> None:
    """A general loss that rises by a tenth is named in plain words, once; a smaller rise is not."""
    doctor, before = Doctor(1.0), ValidationRecord(0, 2.0)
    looks = [ValidationRecord(step, loss) for step, loss in ((5, 2.1), (10, 2.3), (15, 2.5))]
    told = [notice for look in looks for notice in doctor.after_general(before, look)]
    assert told == [Notice("warning", "forgetting", {"step": 10, "before": 2.0, "loss": 2.3})]
