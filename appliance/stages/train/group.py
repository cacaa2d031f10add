"""Processes that train one model together, one for each GPU, as ``accelerate launch`` starts them; usually there is one and no group.

The frozen matrices of the base are shared out (FSDP2): every process keeps a part of each, and a block's parts come together only while it
computes. What is trained is small, and everybody has all of it. A step's micro-batches are shared out, too; their gradients are added up
after the last one, so that weights, optimizer and checkpoints are those of a training in one process, and the first process alone
tells, saves and publishes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import distributed

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit
from appliance.domain.methods import METHODS
from appliance.domain.recipe import TrainingRecipe
from appliance.processes.stopping import Stopped, asked_to_stop
from appliance.stages.language_model.device import Device
from appliance.stages.train.order import Step


@dataclass(frozen=True)
class Group:
    """Who trains together; by default nobody but this process."""

    rank: int = 0
    """This process's number; the first is 0."""
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that tells, saves and publishes."""
        return self.rank == 0

    def share(self, step: Step) -> list[tuple[Sequence[int], float]]:
        """This process's micro-batches and what each counts: 1, or 0 for one that only keeps everybody in step."""
        rounds = -(-len(step) // self.size)
        places = [turn * self.size + self.rank for turn in range(rounds)]
        return [(step[place], 1.0) if place < len(step) else (step[-1], 0.0) for place in places]

    def add_up(self, tensors: Iterable[torch.Tensor]) -> None:
        """Replace every tensor by its sum over all processes."""
        if self.size > 1:
            for tensor in tensors:
                distributed.all_reduce(tensor)

    def agreed(self, values: Sequence[float]) -> list[float]:
        """The first process's values, for everybody: what is decided by them must be decided alike."""
        if self.size == 1:
            return list(values)
        told: list[Any] = [list(values)]
        distributed.broadcast_object_list(told, src=0)
        return list(told[0])

    def anybody(self, wish: bool) -> bool:
        """Whether the wish is anybody's."""
        if self.size == 1:
            return wish
        heard = torch.tensor(float(wish))
        distributed.all_reduce(heard, distributed.ReduceOp.MAX)
        return bool(heard.item())

    def leave_if_asked(self) -> None:
        """Raise ``Stopped`` in every process of a group when any of them was asked to stop; all ask at the same moments.

        A process on its own hears SIGTERM anywhere and need not ask.
        """
        if self.size > 1 and self.anybody(asked_to_stop()):
            raise Stopped

    def wait(self) -> None:
        """Until everybody has come here."""
        if self.size > 1:
            distributed.barrier()

    @contextmanager
    def first_before_others(self) -> Iterator[None]:
        """The first process goes through the block alone; the others find what it has cached."""
        if not self.is_first:
            self.wait()
        yield
        if self.is_first:
            self.wait()

    def told_by_first(self, emit: Emit) -> Emit:
        """An ``emit`` that is heard of the first process only."""
        return emit if self.is_first else lambda _event: None

    def share_out(self, decoder: Any, device: Device) -> None:
        """Keep of every frozen matrix in the decoder's blocks only this process's part."""
        if self.size == 1:
            return
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(device.kind, (self.size,))
        for block in decoder.layers:
            whole = {parameter for parameter in block.parameters() if parameter.requires_grad or parameter.dim() < 2}
            fully_shard(block, mesh=mesh, ignored_params=whole)
        fully_shard(decoder, mesh=mesh, ignored_params=set(decoder.parameters()))


ALONE = Group()


@contextmanager
def joined_group(recipe: TrainingRecipe, device: Device) -> Iterator[Group]:
    """The group that this process was started for; ends with the block.

    Raises ``method_needs_one_process`` for a method whose weights cannot be shared out, and ``processes_differ`` when the recipe asks for
    another number than there are.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size != recipe.processes:
        raise ApplianceError("processes_differ", ExitCode.USAGE, wanted=recipe.processes, found=size)
    if size == 1:
        yield ALONE
        return
    method = METHODS[recipe.method]
    if method.whole_model or method.in_prompt:
        raise ApplianceError("method_needs_one_process", ExitCode.USAGE, method=method.title, alternative=METHODS[method.alternative].title)
    if device.kind == "cuda":
        torch.cuda.set_device(device.torch_device)
    # What is agreed on without the GPU goes through gloo there, too, so that nobody waits for what the GPU has still to do.
    distributed.init_process_group("cpu:gloo,cuda:nccl" if device.kind == "cuda" else "gloo")
    try:
        yield Group(distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
