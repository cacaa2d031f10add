"""The loop: step after step, with validations and checkpoints in between, and an orderly way out at any moment.

SIGTERM may raise ``Stopped`` anywhere inside a step, since one micro-batch of a large base takes minutes on a CPU. Only where weights,
optimizer and history change together is it deferred; so at any moment they are those of the last completed step, and that is saved, by
another thread if a pass of the model keeps the main one from hearing of it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import torch

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Emit, Metric, Notice, Progress, Started
from appliance.domain.recipe import TrainingRecipe
from appliance.processes.stopping import Stopped, deferred, saved_in_time
from appliance.stages.language_model.device import Device, give_back_memory, lacking_memory
from appliance.stages.language_model.tokenized_rows import TokenizedRows
from appliance.stages.train.checkpoints import CheckpointStore
from appliance.stages.train.diagnosis import Doctor, require_healthy
from appliance.stages.train.early_stopping import has_stopped_improving
from appliance.stages.train.gradients import Answers, forget_attempt, halved, largest
from appliance.stages.train.group import ALONE, Group
from appliance.stages.train.history import History, StepRecord, ValidationRecord
from appliance.stages.train.methods.learner import Learner
from appliance.stages.train.mixture import Mixture
from appliance.stages.train.objective import Measured, Objective, StepLoss
from appliance.stages.train.objectives import new_objective
from appliance.stages.train.optimizer import new_optimizer
from appliance.stages.train.order import Order, pack_tokens, step_seed
from appliance.stages.train.reporting import StepReporter
from appliance.stages.train.schedule import learning_rate

OPTIMIZER_FILE = "optimizer.pt"
HISTORY_FILE = "history.json"
MOST_HALVINGS = 2
"""Times that a run makes its micro-batches smaller when memory runs out."""


class Trainer:
    """A model in training: everything that changes from step to step, and how it changes."""

    def __init__(
        self,
        learner: Learner,
        device: Device,
        mixture: Mixture,
        validation: TokenizedRows | None,
        recipe: TrainingRecipe,
        checkpoints: CheckpointStore,
        emit: Emit,
        general: TokenizedRows | None = None,
        group: Group = ALONE,
    ) -> None:
        self.learner = learner
        self.device = device
        self.mixture = mixture
        self.rows = mixture.rows
        self.validation = validation if validation is not None and len(validation) else None
        self.general = general if general is not None and len(general) else None
        """Rows that tell what is forgotten."""
        self.recipe = recipe
        self.order = Order(self.rows.lengths(), recipe, mixture.parts)
        self.total_steps = self.order.total_steps
        self.history = History()
        self.published_step = 0
        """Whose weights the learner has once training is over; 0 before."""
        self._objective = new_objective(recipe)
        self._optimizer = new_optimizer(learner.parameter_groups(), device, recipe)
        self._checkpoints = checkpoints
        self._saved_step = 0
        self._doctor = Doctor(recipe.max_grad_norm)
        self._emit = emit
        self._group = group

    def resume(self) -> None:
        """Go back to the newest whole checkpoint, if there is one."""
        folder = self._checkpoints.newest(self._emit)
        if folder is not None:
            self.learner.load_weights(folder)
            state = torch.load(folder / OPTIMIZER_FILE, map_location=self.device.torch_device, weights_only=True)
            self._optimizer.load_state_dict(state)
            self.history = msgspec.json.decode((folder / HISTORY_FILE).read_bytes(), type=History)
            self._saved_step = self.history.step
            self._doctor.recall(self.history)
            self._emit(Notice("info", "training_resumed", {"step": self.history.step, "total": self.total_steps}))
        self._group.wait()  # until everybody has read
        if self._group.is_first:
            self._checkpoints.go_back_to(self.history.step)
        if self.history.best_step and self._checkpoints.best(self.history.best_step) is None:
            self._lose_best()

    def train(self) -> None:
        """Take all steps that are left; on ``Stopped`` the last completed one is saved before it goes on its way."""
        self._emit(Started(self.total_steps, "steps", "training"))
        self._emit(Progress(self.history.step))
        try:
            if self._group.size > 1:
                # In a group nobody leaves on his own, the others would wait for him: all ask each other before every micro-batch.
                with deferred():
                    self._take_steps()
            else:
                with saved_in_time(self._save):
                    self._take_steps()
        except Stopped:
            self._save()
            raise

    def take_best_weights(self) -> None:
        """Go back to the weights that did best in validation, if they were kept and are not the last ones anyway."""
        self.published_step = self.history.step
        if self.history.best_step in (0, self.history.step):
            return
        folder = self._checkpoints.best(self.history.best_step)
        if folder is None:
            self._lose_best()
            return
        self.learner.load_weights(folder)
        self.published_step = self.history.best_step
        self._emit(Notice("info", "best_weights_taken", {"step": self.history.best_step, "last": self.history.step}))

    def _take_steps(self) -> None:
        """Step after step until the end, or until anybody of the group was asked to stop."""
        reporter = StepReporter(self._emit, self.total_steps, self.device)
        began, before = time.monotonic(), self.history.seconds
        while True:
            if self._general_is_due():
                self._measure_general()
                reporter.pause()
            if self._validation_is_due():
                self._validate()
                reporter.pause()
                self._group.leave_if_asked()
            if self.history.step == self.total_steps or self._learned_enough():
                self._save()  # a stop or a full disk may still keep the result from being written
                return
            self._take_step()
            self.history.seconds = before + time.monotonic() - began
            reporter.report(self.history.steps[-1])
            self._tell(self._doctor.after_step(self.history.steps[-1]))
            if self.history.step % self.recipe.save_steps == 0:
                self._save()
                reporter.pause()
            self._group.leave_if_asked()

    def _take_step(self) -> None:
        number = self.history.step + 1
        loss = self._gradients(number)
        norm = torch.nn.utils.clip_grad_norm_(self.learner.trained, self.recipe.max_grad_norm)
        rate = learning_rate(number, self.total_steps, self.recipe)
        # The one moment of a step in which the processor waits for the GPU.
        loss_value, norm_value, *measured = torch.stack((loss.value, norm, *loss.measures.values())).tolist()
        require_healthy(number, loss_value, norm_value, rate)
        measures = dict(zip(loss.measures, measured, strict=True))
        record = StepRecord(number, loss_value, rate, norm_value, loss.tokens, loss.trained_tokens, measures)
        with deferred() as asked_to_stop:
            for group in self._optimizer.param_groups:
                group["lr"] = rate * group["rate_factor"]
            self._optimizer.step()
            self.history.steps.append(record)
        self._leave_if(asked_to_stop())
        self._optimizer.zero_grad(set_to_none=True)

    def _gradients(self, number: int) -> StepLoss:
        """The gradients of one step; where memory runs out, again from the start with smaller micro-batches and the same rows."""
        while True:
            torch.manual_seed(step_seed(self.recipe.seed, number) + self._group.rank)
            self.learner.begin_step(number, self.total_steps)
            step = halved(self.order.step(number), self.history.halvings)
            while len(step) < self._group.size and largest(step) > 1:
                step = halved(step, 1)
            try:
                return self._objective.gradients(self.learner, self.device, self.rows, step, self._group)
            except (RuntimeError, MemoryError) as error:
                if not self._may_halve(error, largest(step)):
                    raise
            # Out here nothing holds the tensors of the attempt any more: the error and its frames are gone.
            forget_attempt(self.learner, self.device)
            self._halve(number, largest(step))

    def _may_halve(self, error: Exception, rows: int) -> bool:
        # In a group the others would not know of it.
        may = rows > 1 and self.history.halvings < MOST_HALVINGS and self._group.size == 1
        return may and lacking_memory(error) is not None

    def _halve(self, step: int, rows: int) -> None:
        self.history.halvings += 1
        self._emit(Notice("warning", "micro_batch_halved", {"step": step, "before": rows, "after": (rows + 1) // 2}))

    def _validation_is_due(self) -> bool:
        step, done = self.history.step, self.history.validations
        return self.validation is not None and step > 0 and self._is_time_to_look() and not (done and done[-1].step == step)

    def _general_is_due(self) -> bool:
        done = self.history.general
        return self.general is not None and self._is_time_to_look() and not (done and done[-1].step == self.history.step)

    def _is_time_to_look(self) -> bool:
        every = self.recipe.eval_steps or self.order.steps_per_epoch
        return self.history.step % every == 0 or self.history.step == self.total_steps

    def _measure_general(self) -> None:
        """How well the model still does what it could before: first of all before it has learned anything."""
        assert self.general is not None  # it is due only where there is one
        step = self.history.step
        record = ValidationRecord(step, self._measured(Answers(), self.general).loss)
        self.history.general.append(record)
        self._emit(Metric("general_loss", step, record.loss))
        self._tell(self._doctor.after_general(self.history.general[0], record))

    def _validate(self) -> None:
        assert self.validation is not None  # it is due only where there is one
        step, measured = self.history.step, self._measured(self._objective, self.validation)
        loss = measured.loss
        require_healthy(step, loss, 0.0, self.history.steps[-1].learning_rate)
        record = ValidationRecord(step, loss, dict(measured.measures))
        best = self.history.best
        with deferred() as asked_to_stop:
            if self.recipe.keep_best == "best" and (best is None or loss < best.loss):
                self._keep_best(step)
            self.history.validations.append(record)
        self._leave_if(asked_to_stop())
        self._emit(Metric("validation_loss", step, loss))
        for name, value in record.measures.items():
            self._emit(Metric(f"validation_{name}", step, value))
        self._tell(self._doctor.after_validation(record))

    def _measured(self, objective: Objective, examined: TokenizedRows) -> Measured:
        give_back_memory()  # what steps leave in the heap is of other sizes than what is needed here, and in a checkpoint
        while True:
            tokens, rows = (max(1, 2 * size >> self.history.halvings) for size in (pack_tokens(self.recipe), self.recipe.micro_batch_size))
            try:
                found = objective.measured(self.learner, self.device, examined, tokens, rows, self._group)
                loss, *measures = self._group.agreed((found.loss, *found.measures.values()))
                return Measured(loss, dict(zip(found.measures, measures, strict=True)))
            except (RuntimeError, MemoryError) as error:
                if not self._may_halve(error, rows):
                    raise
            forget_attempt(self.learner, self.device)
            self._halve(self.history.step, rows)

    def _learned_enough(self) -> bool:
        if not has_stopped_improving(self.history.validations, self.recipe.early_stopping_patience, self.recipe.early_stopping_min_delta):
            return False
        best = min(self.history.validations, key=lambda record: record.loss)
        told = {"step": self.history.step, "total": self.total_steps, "best_step": best.step, "best_loss": best.loss}
        self._emit(Notice("info", "stopped_early", told))
        return True

    def _tell(self, notices: Iterator[Notice]) -> None:
        for notice in notices:
            self._emit(notice)

    def _keep_best(self, step: int) -> None:
        if not self._group.is_first:
            return
        try:
            self._checkpoints.save_best(step, self.learner.save_weights)
        except ApplianceError as error:
            self._go_on_unsaved(error)
        else:
            self.history.best_step = step

    def _lose_best(self) -> None:
        self._emit(Notice("warning", "best_weights_lost", {"step": self.history.best_step}))
        self.history.best_step = 0

    def _save(self) -> None:
        if self.history.step == self._saved_step or not self._group.is_first:
            return
        give_back_memory()
        with deferred() as asked_to_stop:
            try:
                self._checkpoints.save(self.history.step, self._fill_checkpoint)
            except ApplianceError as error:
                self._go_on_unsaved(error)
            else:
                self._saved_step = self.history.step
        self._leave_if(asked_to_stop())

    def _leave_if(self, asked_to_stop: bool) -> None:
        if asked_to_stop and self._group.size == 1:
            raise Stopped

    def _go_on_unsaved(self, error: ApplianceError) -> None:
        """A full disk does not end the training: what was saved before is whole, and room may be made before the next time."""
        if error.code != "disk_full":
            raise error
        told = {"step": self.history.step, "saved": self._saved_step, "path": error.parameters["path"]}
        self._emit(Notice("warning", "checkpoint_not_saved", told))

    def _fill_checkpoint(self, folder: Path) -> None:
        self.learner.save_weights(folder)
        with (folder / OPTIMIZER_FILE).open("wb") as file:  # torch would hide what went wrong in a file that it opens itself
            torch.save(self._optimizer.state_dict(), file)
        (folder / HISTORY_FILE).write_bytes(msgspec.json.encode(self.history))
