"""Direct preference optimization: the right loss on the right tokens, with the base as reference, reported like any training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from torch.nn.functional import log_softmax

from appliance.domain.conversation import Conversation, Message, to_json
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Metric
from appliance.domain.methods import usual_learning_rate
from appliance.domain.recipe import TrainingRecipe, build_recipe
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import family_in, load_base, load_tokenizer
from appliance.stages.language_model.token_cache import TokenCache, cached_rows
from appliance.stages.train import preference_rows
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Learner, Preparation
from appliance.stages.train.preference_rows import PreferenceRows, cached_preferences, tokenize_preferences
from appliance.stages.train.preferences import MEASURES, Preferences, pair_losses
from tests.stages.train.training import Trained

SETTINGS: dict[str, Any] = {"objective": "preferences", "learning_rate": 0.003, "epochs": 4.0, "dropout": 0.0}


def pairs(count: int) -> list[Conversation]:
    """Questions whose better answer is polite; every third has two turns."""
    rows = []
    for number in range(count):
        before = (Message("user", "你好"), Message("assistant", "您好，请讲。")) if number % 3 == 0 else ()
        turns = (*before, Message("user", f"第{number}号路口几点限行？"), Message("assistant", f"您好，早七点到九点{number}。"))
        rows.append(Conversation(turns, rejected="不知道" + "啊" * (number % 4) + f"{number}"))
    return rows


def write(path: Path, rows: list[Conversation]) -> Path:
    """A ``rows.jsonl``."""
    path.write_bytes(b"".join(to_json(row) + b"\n" for row in rows))
    return path


def preference_training(base: Path, folder: Path, **recipe: Any) -> Trained:
    """A training whose rows are pairs."""
    trained = Trained(base, folder, **SETTINGS | recipe)
    write(Path(trained.spec.train_rows), pairs(24))
    write(Path(trained.spec.validation_rows), pairs(30)[24:])
    return trained


def tokenized(base: Path, folder: Path, rows: list[Conversation], max_length: int = 512) -> PreferenceRows:
    """The rows as tokens."""
    return tokenize_preferences(write(folder / "pairs.jsonl", rows), load_tokenizer(base), max_length, lambda _event: None)


def adapted(base: Path, cpu: Device, *, packed: bool) -> Learner:
    """A learner whose adapter says something already."""
    model = load_base(base, cpu, quantize=False)
    if not packed:
        model.set_attn_implementation("sdpa")
    learner = new_learner(Preparation(model, family_in(base), TrainingRecipe(method="lora", rank=4, alpha=8, dropout=0.0)))
    torch.manual_seed(2)
    for name, parameter in learner.model.named_parameters():
        if "lora_B" in name:
            parameter.data = torch.randn_like(parameter) * 0.1
    return learner


def by_definition(model: Any, rows: PreferenceRows) -> torch.Tensor:
    """Log probability of every answer, one by one, from the full logits: (answers,)."""
    found = []
    for answer in range(len(rows.halves)):
        ids = torch.from_numpy(rows.halves.ids(answer).astype("int64"))[None]
        spoken = torch.from_numpy(rows.halves.trained(answer).copy())[1:]
        with torch.no_grad():
            logs = log_softmax(model(input_ids=ids).logits[0, :-1].double(), dim=-1)
        found.append(logs.gather(1, ids[0, 1:, None])[:, 0][spoken].sum())
    return torch.stack(found)


def test_loss_of_known_numbers() -> None:
    """The loss, rewards and margins of hand-made log probabilities are those of the published formula."""
    model, reference = torch.tensor([-3.0, -7.0, -5.0, -2.0]), torch.tensor([-4.0, -6.0, -5.5, -3.0])
    found = pair_losses(model, reference, 0.5)
    margins = [0.5 * ((-3 + 4) - (-7 + 6)), 0.5 * ((-5 + 5.5) - (-2 + 3))]
    assert found.loss.tolist() == pytest.approx([math.log(1 + math.exp(-margin)) for margin in margins], rel=1e-6)
    assert found.better_reward.tolist() == pytest.approx([0.5, 0.25])
    assert found.worse_reward.tolist() == pytest.approx([-0.5, 0.5])
    sums = dict(zip(("loss", *MEASURES), found.sums().tolist(), strict=True))
    assert (sums["reward_accuracy"], sums["reward_margin"]) == (1.0, pytest.approx(sum(margins)))


@pytest.mark.parametrize("packed", [True, False])
def test_loss_is_that_of_the_definition(base: Path, cpu: Device, tmp_path: Path, packed: bool) -> None:
    """Packed or padded, loss and rewards are those computed answer by answer from full logits of the model and of the bare base."""
    rows, learner = tokenized(base, tmp_path, pairs(5)), adapted(base, cpu, packed=packed)
    learner.model.eval()
    now = by_definition(learner.language_model, rows)
    before = by_definition(load_base(base, cpu, quantize=False), rows)
    rewards = 0.1 * (now - before)
    expected = -torch.nn.functional.logsigmoid(rewards[::2] - rewards[1::2]).mean()
    found = Preferences(0.1).measured(learner, cpu, rows, 400, 2)
    assert found.loss == pytest.approx(expected.item(), rel=1e-5)
    assert found.measures["reward_chosen"] == pytest.approx(rewards[::2].mean().item(), rel=1e-4)
    assert found.measures["reward_rejected"] == pytest.approx(rewards[1::2].mean().item(), rel=1e-4)
    assert abs(expected.item() - math.log(2)) > 1e-3


def test_micro_batches_change_no_gradient(base: Path, cpu: Device, tmp_path: Path) -> None:
    """Pairs one by one, all at once, packed and padded give the same gradients."""
    rows = tokenized(base, tmp_path, pairs(4))
    found = []
    for packed, step in ((True, [[0, 1, 2, 3]]), (True, [[2], [0, 1], [3]]), (False, [[0, 1, 2, 3]])):
        learner = adapted(base, cpu, packed=packed)
        loss = Preferences(0.1).gradients(learner, cpu, rows, step)
        found.append(torch.cat([parameter.grad.flatten() for parameter in learner.trained if parameter.grad is not None]))
        assert loss.trained_tokens == int(rows.flat_trained.sum())
    for other in found[1:]:
        assert torch.allclose(other, found[0], rtol=1e-4, atol=1e-7)


def test_last_answers_alone_are_trained(base: Path, tmp_path: Path) -> None:
    """Of both halves the last answer with its end of turn is trained, and the question before it is the same."""
    rows, tokenizer = tokenized(base, tmp_path, pairs(1)), load_tokenizer(base)
    said = [tokenizer.decode(rows.halves.ids(answer)[rows.halves.trained(answer)]) for answer in (0, 1)]
    assert said[0].startswith("您好，早七点到九点0。")
    assert said[1].startswith("不知道0")
    assert "请讲" not in said[0] + said[1]
    assert (len(rows), rows.lengths().tolist()) == (1, [rows.halves.lengths().sum()])


def test_preferences_are_learned(base: Path, tmp_path: Path) -> None:
    """The loss falls below that of a coin, better answers gain, and everything is told as in any training."""
    trained = preference_training(base, tmp_path / "t").run()
    history, facts = trained.history, trained.artifact.facts
    assert history.steps[0].loss == pytest.approx(math.log(2), abs=1e-4)
    assert history.steps[0].measures["reward_margin"] == pytest.approx(0.0, abs=1e-5)
    assert history.steps[-1].loss < 0.5
    assert history.steps[-1].measures["reward_margin"] > 0.5
    assert history.validations[-1].measures["reward_accuracy"] == 1.0
    assert {*MEASURES, *(f"validation_{name}" for name in MEASURES)} <= {event.name for event in trained.of(Metric)}
    assert (facts["objective"], facts["rows"], facts["reward_accuracy"]) == ("preferences", 24, 1.0)


def test_rows_without_preference_are_refused(qwen2: Path, tmp_path: Path) -> None:
    """A row without a rejected answer ends the stage with its line, before the base is loaded."""
    trained = preference_training(qwen2, tmp_path / "t")
    write(Path(trained.spec.train_rows), [*pairs(2), Conversation(pairs(1)[0].messages)])
    with pytest.raises(ApplianceError, match="rows_without_preference") as caught:
        trained.run()
    assert caught.value.parameters["line"] == 3


def test_long_pairs_are_counted(base: Path, tmp_path: Path) -> None:
    """A pair of which either answer is too long is left out as a whole."""
    long = msgspec.structs.replace(pairs(1)[0], rejected="长" * 400)
    rows = tokenized(base, tmp_path, [*pairs(2), long], max_length=300)
    assert (len(rows), rows.too_long, len(rows.halves)) == (2, 1, 4)


def test_long_pairs_by_policy(qwen2: Path, tmp_path: Path) -> None:
    """Long pairs are refused before the base is loaded where the recipe says so, with the longest length; they are never cut."""
    trained = preference_training(qwen2, tmp_path / "t", max_length=300, long_rows="refuse")
    long = msgspec.structs.replace(pairs(1)[0], rejected="长" * 400)
    write(Path(trained.spec.train_rows), [*pairs(2)[1:], long])
    with pytest.raises(ApplianceError, match="rows_too_long") as caught:
        trained.run()
    assert (caught.value.parameters["too_long"], caught.value.parameters["longest"] > 400) == (1, True)
    with pytest.raises(ApplianceError, match="preferences_cannot_be_cut"):
        preference_training(qwen2, tmp_path / "t", long_rows="cut").run()


def test_second_time_no_pair_is_tokenized(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second time the same pairs come from the cache with their counts; conversations of the same file have an entry of their own."""
    long = msgspec.structs.replace(pairs(1)[0], rejected="长" * 400)
    path, tokenizer, cache = write(tmp_path / "pairs.jsonl", [*pairs(5), long]), load_tokenizer(base), TokenCache(tmp_path / "cache")
    fresh = cached_preferences(path, tokenizer, 300, lambda _event: None, cache=cache)
    assert len(cached_rows(path, tokenizer, 300, lambda _event: None, cache=cache)) == 6
    monkeypatch.setattr(preference_rows, "tokenize_preferences", lambda *_arguments: pytest.fail("tokenized again"))
    again = cached_preferences(path, tokenizer, 300, lambda _event: None, cache=cache)
    assert (len(again), again.too_long, again.untrained) == (len(fresh), fresh.too_long, fresh.untrained) == (5, 1, 0)
    for ours, theirs in ((again, fresh), (again.halves, fresh.halves)):
        assert [ours.ids(row).tolist() for row in range(len(ours))] == [theirs.ids(row).tolist() for row in range(len(theirs))]
        assert [ours.trained(row).tolist() for row in range(len(ours))] == [theirs.trained(row).tolist() for row in range(len(theirs))]


def test_preference_training_keeps_its_tokens(qwen2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A second preference training on the same rows tokenizes nothing and learns the same."""
    losses = []
    for name in ("a", "b"):
        trained = preference_training(qwen2, tmp_path / name, max_steps=2)
        trained.spec = msgspec.structs.replace(trained.spec, cache=str(tmp_path / "cache"))
        losses.append([step.loss for step in trained.run().history.steps])
        monkeypatch.setattr(preference_rows, "tokenize_preferences", lambda *_arguments: pytest.fail("tokenized again"))
    assert losses[0] == losses[1]


def test_full_fine_tuning_has_no_reference(qwen2: Path, tmp_path: Path) -> None:
    """Where every weight changes there is nothing to compare with: refused with an alternative."""
    with pytest.raises(ApplianceError, match="reference_missing"):
        preference_training(qwen2, tmp_path / "t", method="full").run()


def test_preferences_learn_slowly() -> None:
    """A recipe for preferences that names no learning rate gets a tenth of the usual one."""
    assert build_recipe({"training": {"objective": "preferences"}}).training.learning_rate == usual_learning_rate("qlora") / 10
