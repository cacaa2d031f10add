"""The forward and backward passes of one optimizer step, micro-batch by micro-batch, and doing them again in smaller pieces."""

from __future__ import annotations

import gc
from collections.abc import Sequence

import torch

from appliance.stages.language_model.attention import takes_packs
from appliance.stages.language_model.batches import make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loss import mean_loss, summed_loss
from appliance.stages.language_model.tokenized_rows import TokenizedRows
from appliance.stages.train.group import ALONE, Group
from appliance.stages.train.methods.learner import Learner
from appliance.stages.train.objective import Measured, StepLoss
from appliance.stages.train.order import Step


class Answers:
    """What a model learns from conversations: to say the answers. Every trained token of a step weighs the same."""

    def gradients(self, learner: Learner, device: Device, rows: TokenizedRows, step: Step, group: Group = ALONE) -> StepLoss:
        """Add the gradients of a step's mean loss to those of the learner, summed over the group."""
        packed = takes_packs(learner.language_model)
        taken = [row for chosen in step for row in chosen]
        trained_tokens = sum(int(rows.trained(row).sum()) for row in taken)
        loss = torch.zeros((), device=device.torch_device)
        for chosen, counts in group.share(step):
            group.leave_if_asked()
            batch = make_batch(rows, chosen, packed=packed)
            with device.arithmetic():
                share = summed_loss(learner.language_model, batch.to(device.torch_device)) * counts / trained_tokens
            share.backward()
            loss += share.detach()
        group.add_up((*learner.gradients(), loss))
        return StepLoss(loss, sum(len(rows.ids(row)) for row in taken), trained_tokens)

    def measured(
        self, learner: Learner, device: Device, rows: TokenizedRows, pack_tokens: int, padded_rows: int, group: Group = ALONE
    ) -> Measured:
        """The mean over all trained tokens, without gradients and without dropout."""
        return Measured(mean_loss(learner.language_model, rows, device, pack_tokens, padded_rows, between=group.leave_if_asked).value)


def halved(step: Step, times: int) -> Step:
    """The same rows, every micro-batch halved ``times`` times as far as it has rows for it."""
    pieces = step
    for _ in range(times):
        pieces = [half for chosen in pieces for half in _halves(chosen)]
    return pieces


def largest(step: Step) -> int:
    """Rows of the largest micro-batch."""
    return max(map(len, step))


def _halves(chosen: Sequence[int]) -> list[list[int]]:
    # Rows come sorted by length: every other one, so that both halves are of about the same size.
    return [half for half in (list(chosen[::2]), list(chosen[1::2])) if half]


def forget_attempt(learner: Learner, device: Device) -> None:
    """Drop what a broken-off attempt left: half-summed gradients and memory that is held back for later."""
    for parameter in learner.trained:
        parameter.grad = None
    gc.collect()
    if device.kind == "cuda":
        torch.cuda.empty_cache()
