"""Direct preference optimization (Rafailov et al. 2023): a model learns to prefer the better of two answers to the same question.

The loss of a pair is −log σ(β·((log π(better) − log π₀(better)) − (log π(worse) − log π₀(worse)))), where π is the model and π₀ what it
was: the same base with its adapter switched off, so nothing is in memory twice. The two differences times β are the rewards.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid

from appliance.stages.language_model.attention import takes_packs
from appliance.stages.language_model.batches import by_length, make_batch
from appliance.stages.language_model.device import Device
from appliance.stages.language_model.loss import token_losses
from appliance.stages.language_model.packing import best_fit
from appliance.stages.train.group import ALONE, Group
from appliance.stages.train.methods.learner import Learner
from appliance.stages.train.objective import Measured, StepLoss
from appliance.stages.train.order import Step
from appliance.stages.train.preference_rows import PreferenceRows


@dataclass(frozen=True)
class PairLosses:
    """What the loss says of some pairs, each a tensor of (pairs,)."""

    loss: torch.Tensor
    better_reward: torch.Tensor
    worse_reward: torch.Tensor

    def sums(self) -> torch.Tensor:
        """Loss, both rewards, how many pairs are in the right order, and the margin between rewards, each summed: (5,)."""
        margin = self.better_reward - self.worse_reward
        columns = (self.loss, self.better_reward, self.worse_reward, (margin > 0).float(), margin)
        return torch.stack([column.detach().sum() for column in columns])


MEASURES = ("reward_chosen", "reward_rejected", "reward_accuracy", "reward_margin")
"""What ``PairLosses.sums`` gives behind the loss."""


def pair_losses(model: torch.Tensor, reference: torch.Tensor, beta: float) -> PairLosses:
    """The loss from log probabilities of answers, better and worse in turn: (2 · pairs,) each."""
    rewards = beta * (model - reference)
    better, worse = rewards[::2], rewards[1::2]
    return PairLosses(-logsigmoid(better - worse), better, worse)


class Preferences:
    """What a model learns from pairs."""

    def __init__(self, beta: float) -> None:
        self._beta = beta

    def gradients(self, learner: Learner, device: Device, rows: PreferenceRows, step: Step, group: Group = ALONE) -> StepLoss:
        """Add the gradients of the mean loss over a step's pairs, summed over the group; every pair weighs the same."""
        pairs = sum(map(len, step))
        sums = torch.zeros(1 + len(MEASURES), device=device.torch_device)
        answers = [2 * pair + side for chosen in step for pair in chosen for side in (0, 1)]
        tokens = sum(len(rows.halves.ids(answer)) for answer in answers)
        trained = sum(int(rows.halves.trained(answer).sum()) for answer in answers)
        for chosen, counts in group.share(step):
            group.leave_if_asked()
            losses = self._losses(learner, device, rows, chosen)
            (losses.loss.sum() * counts / pairs).backward()
            sums += losses.sums() * counts
        group.add_up((*learner.gradients(), sums))
        return StepLoss(sums[0] / pairs, tokens, trained, dict(zip(MEASURES, sums[1:] / pairs, strict=True)))

    def measured(
        self, learner: Learner, device: Device, rows: PreferenceRows, pack_tokens: int, padded_rows: int, group: Group = ALONE
    ) -> Measured:
        """The mean over all pairs, without gradients and without dropout."""
        lengths, everything = rows.lengths(), range(len(rows))
        packed = takes_packs(learner.language_model)
        sums = torch.zeros(1 + len(MEASURES), device=device.torch_device)
        was_training = learner.model.training
        learner.model.eval()
        try:
            with torch.no_grad():
                for chosen in best_fit(lengths, everything, pack_tokens) if packed else by_length(lengths, everything, padded_rows):
                    group.leave_if_asked()
                    sums += self._losses(learner, device, rows, chosen).sums()
        finally:
            learner.model.train(was_training)
        means: list[float] = (sums / len(rows)).tolist()
        measures: Mapping[str, float] = dict(zip(MEASURES, means[1:], strict=True))
        return Measured(means[0], measures)

    def _losses(self, learner: Learner, device: Device, rows: PreferenceRows, pairs: Sequence[int]) -> PairLosses:
        """What the loss says of these pairs."""
        answers = [2 * pair + side for pair in pairs for side in (0, 1)]
        batch = make_batch(rows.halves, answers, packed=takes_packs(learner.language_model))
        counts = torch.tensor([int(rows.halves.trained(answer).sum()) for answer in answers])
        owners = torch.repeat_interleave(torch.arange(len(answers)), counts).to(device.torch_device)
        there = batch.to(device.torch_device)
        with device.arithmetic():
            with torch.no_grad(), learner.reference() as reference:
                before = token_losses(reference, there)
            now = token_losses(learner.language_model, there)
        answered, as_before = (torch.zeros(len(answers), device=now.device).index_add(0, owners, -losses) for losses in (now, before))
        return pair_losses(answered, as_before, self._beta)
