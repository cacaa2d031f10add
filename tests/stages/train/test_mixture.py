"""Training on several datasets at once, and on plain texts, with rows that are kept in tokens from one run to the next."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from appliance.domain.document import Document
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Notice
from appliance.domain.spec import MixedRows
from tests.stages.language_model.tiny import conversation, facts, write_rows
from tests.stages.train.training import Trained


def prepared(base: Path, folder: Path, share: float = 0.25, others: int = 30, **recipe: Any) -> Trained:
    """A training on 24 rows, with rows of another dataset mixed in."""
    trained = Trained(base, folder, **{"epochs": 1.0, "dropout": 0.0} | recipe)
    rows = write_rows(
        folder / "general.jsonl", [conversation(f"{number}加{number}等于几？", f"{2 * number}。") for number in range(others)]
    )
    mixed = MixedRows(name="general", rows=str(rows), share=share)
    trained.spec = msgspec.structs.replace(trained.spec, mixed=(mixed,), cache=str(folder / "cache"))
    return trained


def test_mixed_rows_are_trained_and_recorded(qwen2: Path, tmp_path: Path) -> None:
    """A share of the epoch's rows comes from the other dataset; the facts tell which and how many."""
    facts_of_run = prepared(qwen2, tmp_path).run().artifact.facts
    assert facts_of_run["mixed"] == [{"name": "general", "rows": 30, "rows_per_epoch": 8}]
    assert (facts_of_run["rows"], facts_of_run["steps"]) == (24, 4)


def test_mixture_follows_from_the_seed(qwen2: Path, tmp_path: Path) -> None:
    """The same seed mixes the same rows, another one others; from the cache nothing is different."""
    first = prepared(qwen2, tmp_path / "a").run().history.steps
    again = prepared(qwen2, tmp_path / "b")
    again.spec = msgspec.structs.replace(again.spec, cache=str(tmp_path / "a" / "cache"))
    assert again.run().history.steps == first
    assert prepared(qwen2, tmp_path / "c", seed=18).run().history.steps != first


def test_few_mixed_rows_are_told(qwen2: Path, tmp_path: Path) -> None:
    """When an epoch takes more rows than there are, some are seen again, and that is said."""
    trained = prepared(qwen2, tmp_path, others=3).run()
    assert Notice("warning", "mixed_rows_repeat", {"name": "general", "rows": 3, "wanted": 8}) in trained.events


def test_nothing_to_mix_is_named(qwen2: Path, tmp_path: Path) -> None:
    """A dataset of which no row can be used is an error, not silence."""
    trained = prepared(qwen2, tmp_path)
    write_rows(Path(trained.spec.mixed[0].rows), [])
    with pytest.raises(ApplianceError, match="nothing_to_mix"):
        trained.run()


def test_plain_texts_are_learned(base: Path, tmp_path: Path) -> None:
    """A dataset of documents trains like one of conversations, with general conversations mixed in."""
    trained = prepared(base, tmp_path, epochs=6.0)
    texts = [Document("".join(message.content for message in row.messages) * 3) for row in facts(24)]
    Path(trained.spec.train_rows).write_bytes(b"".join(msgspec.json.encode(text) + b"\n" for text in texts))
    history = trained.run().history
    assert history.steps[-1].loss < history.steps[0].loss - 0.1
    assert all(step.trained_tokens > 0.5 * step.tokens for step in history.steps)


@pytest.mark.parametrize("policy", ["cut", "refuse"])
def test_long_rows_by_policy(qwen2: Path, tmp_path: Path, policy: str) -> None:
    """Rows that are too long are cut and told, or refused, as the recipe says."""
    trained = Trained(qwen2, tmp_path / "t", epochs=1.0, max_length=48, long_rows=policy)
    write_rows(Path(trained.spec.train_rows), [conversation("问", "答"), conversation("问", "答" * 200), conversation("问", "好")])
    write_rows(Path(trained.spec.validation_rows), [conversation("何", "答")])
    if policy == "refuse":
        with pytest.raises(ApplianceError, match="rows_too_long"):
            trained.run()
        return
    found = trained.run().artifact.facts
    assert (found["rows"], found["rows_left_out"], found["rows_cut"]) == (3, 0, 1)
    assert Notice("warning", "rows_cut", {"cut": 1, "rows": 3, "max_length": 48}) in trained.events


def test_packing_changes_no_loss(base: Path, tmp_path: Path) -> None:
    """A run with packs and one with padded rows have the same loss curve."""
    curves = []
    for flag in (True, False):
        trained = Trained(base, tmp_path / str(flag), epochs=4.0, dropout=0.0, packing=flag).run()
        assert trained.artifact.facts["packed"] is flag
        curves.append([record.loss for record in trained.history.steps])
    assert curves[0] == pytest.approx(curves[1], rel=1e-5)
