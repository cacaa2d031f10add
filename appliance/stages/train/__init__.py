"""Train: a base learns from conversations by one of the methods of ``methods/``, as a rule as a LoRA adapter on its NF4-quantized weights.

Everything that happens in a step follows from the seed and the step's number: which rows it takes, their order, its dropout, its
learning rate. So a checkpoint holds weights, optimizer and history and nothing else, and a resumed run does what the unbroken one would
have done. It knows neither database nor presets; what is a good recipe was decided before.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Notice, Produced, Started
from appliance.domain.family import Family
from appliance.domain.memory import shape_of
from appliance.domain.methods import HIGH, METHODS, times_usual, usual_learning_rate
from appliance.domain.recipe import TrainingRecipe
from appliance.domain.spec import TrainSpec
from appliance.files.base_screening import read_json_object
from appliance.files.space import disk_full_named
from appliance.stages.language_model import lean_peft as lean_peft  # before peft, transformers and bitsandbytes
from appliance.stages.language_model.device import Device, choose_device, give_back_memory, memory_errors_named
from appliance.stages.language_model.loading import checkpoint_activations, family_in, load_base, load_tokenizer, quiet_libraries
from appliance.stages.language_model.new_tokens import start_rows
from appliance.stages.language_model.room import room_of
from appliance.stages.train.arithmetic import with_arithmetic
from appliance.stages.train.checkpoints import CheckpointStore
from appliance.stages.train.group import Group, joined_group
from appliance.stages.train.identity import identity_of
from appliance.stages.train.loop import Trainer
from appliance.stages.train.methods import new_learner
from appliance.stages.train.methods.learner import Learner, Preparation
from appliance.stages.train.mixture import read_general_rows, read_rows
from appliance.stages.train.order import packs_rows
from appliance.stages.train.planning import require_disk, require_room, row_facts, tokens_of
from appliance.stages.train.precautions import consider_gpu_memory, consider_rate, consider_rows, consider_template
from appliance.stages.train.published import publish_result
from appliance.stages.train.vocabulary import Expansion, expand


def run(spec: TrainSpec, emit: Emit) -> None:
    """Choose the device, tokenize the rows, load the base, make it ready to learn, take every step that is still to be taken, publish."""
    quiet_libraries()
    recipe, output = spec.recipe, Path(spec.output)
    with memory_errors_named(), disk_full_named(output):
        if spec.without_redaction:
            emit(Notice("warning", "trained_without_redaction", {"names": ", ".join(spec.without_redaction)}))
        device = choose_device(spec.device, emit)
        with joined_group(recipe, device) as group:
            _train(spec, device, group, group.told_by_first(emit))


def _train(spec: TrainSpec, device: Device, group: Group, emit: Emit) -> None:
    recipe, base, output = spec.recipe, Path(spec.base), Path(spec.output)
    consider_gpu_memory(device, emit)
    family, config = family_in(base), read_json_object(base / "config.json")
    device = with_arithmetic(device, recipe, shape_of(family, config), emit)
    consider_method(recipe, family, emit)
    consider_rate(recipe, emit)
    tokenizer = load_tokenizer(base)
    consider_template(tokenizer, emit)
    expansion = expand(tokenizer, spec.terms, Path(spec.train_rows), recipe.method, emit)
    with group.first_before_others():
        mixture, validation = read_rows(spec, tokenizer, emit)
        general = read_general_rows(spec, tokenizer, emit)
    consider_rows(mixture, validation, recipe.max_length, emit)
    facts = row_facts(mixture.rows, recipe, mixture.parts, validation=tokens_of(validation), general=tokens_of(general))
    shape = dataclasses.replace(shape_of(family, config), new_tokens=len(expansion.new.pieces) if expansion else 0)
    plan = require_room(facts, recipe, shape, family, room_of(device), emit)
    require_disk(plan, Path(spec.checkpoints))
    emit(Started(None, "", "load_base"))
    with group.first_before_others():
        learner = _load_learner(spec, family, device, plan.checkpointing, expansion, emit)
    group.share_out(getattr(learner.language_model, learner.language_model.base_model_prefix), device)
    checkpoints = CheckpointStore(Path(spec.checkpoints), recipe.keep_checkpoints, identity_of(spec, device))
    trainer = Trainer(learner, device, mixture, validation, recipe, checkpoints, emit, general, group)
    trainer.resume()
    trainer.train()
    if group.is_first:
        trainer.take_best_weights()
        emit(Produced(publish_result(trainer, base, output, plan, expansion, spec.without_redaction)))


def consider_method(recipe: TrainingRecipe, family: Family, emit: Emit) -> None:
    """Refuse what cannot work and tell what a person may not want, before anything is loaded."""
    method = METHODS[recipe.method]
    family.linear_set(recipe.targets)
    if recipe.objective == "preferences" and method.whole_model:
        raise ApplianceError("reference_missing", ExitCode.USAGE, method=method.title, alternative=METHODS[method.alternative].title)
    times = times_usual(recipe.learning_rate, method.name, recipe.objective)
    if times >= HIGH:
        usual = usual_learning_rate(method.name, recipe.objective)
        told = {"rate": recipe.learning_rate, "times": round(times), "usual": usual, "method": method.title}
        emit(Notice("warning", "learning_rate_high", told))
    if not method.can_export:
        emit(Notice("warning", "method_without_gguf", {"method": method.title, "alternative": METHODS[method.alternative].title}))


def _load_learner(
    spec: TrainSpec, family: Family, device: Device, recompute_every: int, expansion: Expansion | None, emit: Emit
) -> Learner:
    recipe, method = spec.recipe, METHODS[spec.recipe.method]
    cache = Path(spec.cache, "nf4") if spec.cache else None
    # Weights that are trained themselves are float32; see ``methods/full.py``.
    place = dataclasses.replace(device, dtype=torch.float32) if method.whole_model else device
    model = load_base(Path(spec.base), place, quantize=method.quantizes_base, cache=cache, emit=emit)
    if not packs_rows(recipe):
        model.set_attn_implementation("sdpa")
    if expansion:
        start_rows(model, expansion.new)
    learner = new_learner(Preparation(model, family, recipe, expansion.new.ids if expansion else ()))
    if recompute_every:
        checkpoint_activations(model, recompute_every)
    give_back_memory()
    return learner
