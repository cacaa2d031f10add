"""From conversations to a loss: labels, batches and cross entropy, against transformers' own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from appliance.domain.errors import ApplianceError
from appliance.stages.language_model import loss as loss_module
from appliance.stages.language_model.batches import by_length, make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loading import load_base, load_tokenizer
from appliance.stages.language_model.loss import mean_loss, summed_loss
from appliance.stages.language_model.tokenized_rows import LongRows, TokenizedRows, tokenize_rows
from tests.stages.language_model.tiny import conversation, facts, write_rows


def tokenized(base: Path, folder: Path, rows: Any, max_length: int = 512, long_rows: LongRows = "leave_out") -> TokenizedRows:
    """Rows as token ids."""
    return tokenize_rows(write_rows(folder / "rows.jsonl", rows), load_tokenizer(base), max_length, lambda _event: None, long_rows)


@pytest.fixture
def rows(base: Path, tmp_path: Path) -> TokenizedRows:
    """Rows of different lengths."""
    return tokenized(base, tmp_path, facts(9))


@pytest.fixture
def model(base: Path, cpu: Device) -> Any:
    """The base in float32."""
    return load_base(base, cpu, quantize=False)


def reference_loss(model: Any, rows: TokenizedRows, row: int) -> torch.Tensor:
    """Summed loss of one row by transformers' own labels, computed in one piece over all positions."""
    ids = torch.from_numpy(rows.ids(row).astype(np.int64))[None]
    labels = torch.where(torch.from_numpy(rows.trained(row).copy())[None], ids, -100)
    logits = model(input_ids=ids).logits[:, :-1].float()
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum")


def test_trained_tokens_are_the_answer(base: Path, tmp_path: Path) -> None:
    """Decoding the trained tokens gives the answers and the ends of turns, nothing else."""
    tokenizer = load_tokenizer(base)
    rows = tokenized(base, tmp_path, [conversation("问题一", "答案一 🚦", "二？", "好 12")])
    shown = tokenizer.decode(rows.ids(0)[rows.trained(0)])
    end = "<|eot_id|>" if "llama" in str(base) else "<|im_end|>"
    assert shown == f"答案一 🚦{end}好 12{end}"
    assert tokenizer.decode(rows.ids(0)[~rows.trained(0)]).count("assistant") == 2


def test_long_rows_are_counted_not_cut(qwen2: Path, tmp_path: Path) -> None:
    """A row with one token too many is left out and counted; one that just fits is whole."""
    content = [conversation("q", "a" * length) for length in (1, 40, 80)]
    whole = tokenized(qwen2, tmp_path, content)
    limit = int(whole.lengths()[1])
    fitting = tokenized(qwen2, tmp_path, content, limit)
    assert (len(fitting), fitting.too_long, fitting.left_out) == (2, 1, 1)
    assert fitting.lengths().tolist() == whole.lengths()[:2].tolist()
    assert fitting.tokens == sum(fitting.lengths())


def test_long_rows_are_cut_where_the_recipe_says_so(qwen2: Path, tmp_path: Path) -> None:
    """A row that is cut keeps its beginning, with what is trained there, and is counted; one whose answers are gone is too long."""
    content = [conversation("q", "a"), conversation("q", "ab" * 60), conversation("q" * 200, "a"), conversation("q" * 200)]
    whole, cut = tokenized(qwen2, tmp_path, content), tokenized(qwen2, tmp_path, content, 50, "cut")
    assert (len(cut), cut.cut, cut.too_long, cut.untrained) == (2, 1, 1, 1)
    assert cut.ids(1).tolist() == whole.ids(1)[:50].tolist()
    assert cut.trained(1).tolist() == whole.trained(1)[:50].tolist()


def test_long_rows_are_refused_where_the_recipe_says_so(qwen2: Path, tmp_path: Path) -> None:
    """A refusal tells how many rows are too long and how long the longest is; rows that fit are not refused."""
    content = [conversation("q", "a"), conversation("q", "ab" * 60), conversation("q", "ab" * 30)]
    longest = int(tokenized(qwen2, tmp_path, content).lengths().max())
    with pytest.raises(ApplianceError, match="rows_too_long") as caught:
        tokenized(qwen2, tmp_path, content, 50, "refuse")
    assert (caught.value.parameters["too_long"], caught.value.parameters["longest"]) == (2, longest)
    assert len(tokenized(qwen2, tmp_path, content, longest, "refuse")) == 3


def test_rows_are_joined(qwen2: Path, tmp_path: Path) -> None:
    """Rows of several datasets follow one another, and what was left out is added up."""
    first, second = tokenized(qwen2, tmp_path, facts(5), 60), tokenized(qwen2, tmp_path, facts(9), 70)
    joined = TokenizedRows.joined([first, second])
    assert (len(joined), joined.tokens) == (len(first) + len(second), first.tokens + second.tokens)
    assert (joined.too_long, joined.left_out) == (first.too_long + second.too_long, first.left_out + second.left_out)
    for row in range(len(second)):
        assert joined.ids(len(first) + row).tolist() == second.ids(row).tolist()
        assert joined.trained(len(first) + row).tolist() == second.trained(row).tolist()


def test_missing_and_damaged_rows_are_named(qwen2: Path, tmp_path: Path) -> None:
    """No file, and a line that is no conversation, are errors with their place."""
    tokenizer, place = load_tokenizer(qwen2), tmp_path / "rows.jsonl"
    with pytest.raises(ApplianceError, match="rows_missing"):
        tokenize_rows(place, tokenizer, 512, lambda _event: None)
    write_rows(place, facts(2))
    good = place.read_bytes()
    for line in (b'{"messages": 3}', b"{}", b'{"text": null}', b"[]", b"\xff", b'{"text": 5}'):
        place.write_bytes(good + line + b"\n")
        with pytest.raises(ApplianceError, match="line=3"):
            tokenize_rows(place, tokenizer, 512, lambda _event: None)


@pytest.mark.parametrize("packed", [True, False])
def test_batched_loss_is_the_sum_of_single_rows(model: Any, rows: TokenizedRows, packed: bool) -> None:
    """The loss of a batch, packed or padded, is the sum of its rows' own losses, as transformers computes them."""
    batch = make_batch(rows, list(range(len(rows))), packed=packed)
    expected = sum(reference_loss(model, rows, row) for row in range(len(rows)))
    torch.testing.assert_close(summed_loss(model, batch), expected, rtol=1e-5, atol=1e-4)
    assert (batch.tokens, batch.trained_tokens) == (rows.tokens, rows.trained_tokens)


def test_gradients_do_not_see_padding(model: Any, rows: TokenizedRows) -> None:
    """The gradients of a padded batch are those of its rows one by one."""
    model.requires_grad_(True)
    summed_loss(model, make_batch(rows, [0, 1, 2, 3])).backward()
    together = [parameter.grad.clone() for parameter in model.parameters()]
    model.zero_grad()
    for row in range(4):
        reference_loss(model, rows, row).backward()
    for first, parameter in zip(together, model.parameters(), strict=True):
        torch.testing.assert_close(first, parameter.grad, rtol=1e-4, atol=1e-5)


def test_loss_in_pieces_is_the_same(model: Any, rows: TokenizedRows, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logits made piece by piece give the loss and gradients of logits made at once."""
    model.requires_grad_(True)
    batch, results = make_batch(rows, [0, 4, 8], packed=True), []
    for size in (1024, 7):
        monkeypatch.setattr(loss_module, "TOKENS_AT_ONCE", size)
        model.zero_grad()
        value = summed_loss(model, batch)
        value.backward()
        results.append((value.detach(), [parameter.grad.clone() for parameter in model.parameters()]))
    torch.testing.assert_close(results[0], results[1], rtol=1e-5, atol=1e-5)


def test_mean_loss_over_all_rows(model: Any, rows: TokenizedRows, cpu: Device) -> None:
    """The mean is over trained tokens, does not depend on the size of packs or on packing, and leaves the model's mode alone."""
    model.train()
    found = [mean_loss(model, rows, cpu, tokens) for tokens in (1, 100, 10_000)]
    assert model.training
    model.set_attn_implementation("sdpa")
    found += [mean_loss(model, rows, cpu, padded_rows=size) for size in (1, 5)]
    assert [mean.value for mean in found] == pytest.approx([found[0].value] * 5, rel=1e-6)
    assert {mean.tokens for mean in found} == {rows.trained_tokens}


def test_every_row_is_in_one_batch() -> None:
    """Batches by length have each row once, the longest first."""
    batches = by_length(np.array([3, 9, 5, 9, 1]), range(5), 2)
    assert batches == [[1, 3], [2, 0], [4]]
