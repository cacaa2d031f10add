"""Models: brought in, trained, examined, exported, verified, removed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.domain.dataset import Dataset
from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.domain.methods import METHODS
from appliance.domain.model import Model, ModelKind, Score
from appliance.domain.recipe import WEIGHED_TYPES, Recipe
from appliance.domain.run import Run
from appliance.domain.spec import ExportForm, TemplateChoice
from appliance.files.checksum import file_sha256, folder_manifest, manifest_sha256
from appliance.services.datasets import SPLIT_SUFFIXES, DatasetService, require_file, split_names
from appliance.services.mixing import USUAL_SHARE, require_own_share, shares_of_mix
from appliance.services.names import free_stem
from appliance.services.planning import DatasetRef, Device, MixedRef, ModelRef, Plan
from appliance.services.redaction import RedactionService
from appliance.services.runs import RunService
from appliance.services.terms import read_terms
from appliance.services.training_choice import TrainingChoice
from appliance.services.uses import dependants, require_unused
from appliance.store.store import Store


class ModelService:
    """What front ends do with models."""

    def __init__(self, store: Store, home: Home, runs: RunService, datasets: DatasetService, redaction: RedactionService) -> None:
        self._store = store
        self._home = home
        self._runs = runs
        self._datasets = datasets
        self._redaction = redaction

    def start_import(self, source: Path, name: str, base: str | None = None, chat_template: TemplateChoice | None = None) -> Run:
        """Start bringing a base model folder in, a GGUF file, or with ``base`` a peft adapter's folder.

        A folder with a single GGUF file and nothing to train on stands for that file. ``chat_template`` is for a base that brings none.
        Raises ``source_missing``, and ``template_for_bases_only`` when something else should get one.
        """
        try:
            source = _gguf_of(source) if base is None else source
        except OSError as error:
            raise ApplianceError("source_missing", ExitCode.BAD_DATA, path=str(source), reason=error.strerror or "") from error
        if chat_template and (base is not None or source.is_file()):
            raise ApplianceError("template_for_bases_only", ExitCode.USAGE)
        parent = ModelRef.of(self._get_kind(base, ("base", "merged"))) if base else None
        run_id, plan = self._runs.new_plan()
        plan.adopt(source.absolute(), name, parent, chat_template)
        return self._runs.start(run_id, f"import-{name}", plan)

    def start_training(self, choice: TrainingChoice, name: str) -> Run:
        """Start what ``plan_training`` plans."""
        run_id, plan = self.plan_training(choice, name)
        return self._runs.start(run_id, f"train-{name}", plan, choice.recipe)

    def plan_training(self, choice: TrainingChoice, name: str) -> tuple[str, Plan]:
        """The id and the stages of a training; a dataset that was not split yet is split first. Nothing is written down or started.

        Raises ``not_redacted`` for rows without a passed report, unless somebody takes the responsibility, which is recorded.
        """
        recipe, shares = choice.recipe, dict(shares_of_mix(choice.mix))
        words = read_terms(choice.terms) if choice.terms else ()
        general = self._datasets.get(choice.general) if choice.general else None
        base = ModelRef.of(self._get_kind(choice.base, ("base", "merged")))
        rows = self._datasets.get(choice.dataset)
        learned = [rows, *([general] if general else []), *(self._datasets.get(key) for key, share in shares.items() if share)]
        if not choice.without_redaction:
            self._redaction.require_passed(learned)
        unredacted = tuple(dataset.name for dataset in self._redaction.not_passed(learned))
        held_out = self._datasets.get(choice.validation) if choice.validation else self._datasets.validation_of(rows)
        run_id, plan = self._runs.new_plan()
        train_rows, validation_rows = DatasetRef.of(rows), DatasetRef.of(held_out) if held_out else None
        if held_out is None and recipe.split.validation_share > 0:
            stem = free_stem(self._store, name, SPLIT_SUFFIXES)
            train_rows, validation_rows = plan.split(train_rows, split_names(stem), recipe.split)
        watched, replayed = self._sides_of_general(general, plan, recipe) if general else (None, None)
        names = {general.name, general.id} if general and replayed else set()
        if general and names and not names & shares.keys() and recipe.training.objective == "answers":
            shares[general.name] = USUAL_SHARE
        require_own_share(shares.values())
        sides = {key: replayed if replayed and key in names else DatasetRef.of(self._datasets.get(key)) for key in shares}
        mixed = [MixedRef(key, sides[key], share) for key, share in shares.items() if share]
        if learns_watched := [one.name for one in mixed if watched and one.dataset.id == watched.id]:
            raise ApplianceError("watched_is_mixed", ExitCode.USAGE, name=learns_watched[0])
        others: dict[str, Any] = {"terms": words, "general": watched, "mixed": mixed, "without_redaction": unredacted}
        plan.train(base, train_rows, validation_rows, name, recipe.training, choice.device, **others)
        return run_id, plan

    def _sides_of_general(self, general: Dataset, plan: Plan, recipe: Recipe) -> tuple[DatasetRef | None, DatasetRef | None]:
        """What of a general dataset is watched and what is trained, never the same rows: it is split first unless it was."""
        if general.facts.get("side") == "validation":
            return DatasetRef.of(general), None
        other = self._datasets.validation_of(general)
        if other is not None:
            return DatasetRef.of(other), DatasetRef.of(general)
        if recipe.split.validation_share == 0 or recipe.training.objective != "answers":
            return DatasetRef.of(general), None
        names = split_names(free_stem(self._store, general.name, SPLIT_SUFFIXES))
        trained, watched = plan.split(DatasetRef.of(general), names, recipe.split)
        return watched, trained

    def start_evaluation(
        self, key: str, dataset: str | None, exam: Path | None, device: Device = "auto", measure_merge: bool = False
    ) -> Run:
        """Start examining a model on held-out rows, an exam, or both.

        ``measure_merge`` compares both ways of merging an adapter. Raises ``nothing_to_examine`` or ``merge_not_measurable``.
        """
        if dataset is None and exam is None:
            raise ApplianceError("nothing_to_examine", ExitCode.USAGE)
        if exam is not None:
            require_file(exam)
        rows = DatasetRef.of(self._datasets.get(dataset)) if dataset else None
        model = self._get_kind(key, ("base", "adapter", "merged", "gguf"))
        if measure_merge and (model.kind != "adapter" or rows is None):
            raise ApplianceError("merge_not_measurable", ExitCode.USAGE, name=model.name)
        run_id, plan = self._runs.new_plan()
        plan.evaluate(self.reference(model), rows, exam.absolute() if exam else None, device=device, measure_merge=measure_merge)
        return self._runs.start(run_id, f"evaluate-{model.name}", plan)

    def start_export(
        self,
        key: str,
        name: str,
        recipe: Recipe,
        form: ExportForm = "gguf",
        check: bool = True,
        imatrix: str | None = None,
        validation: str | None = None,
    ) -> Run:
        """Start writing a model for serving, in one of three forms.

        ``imatrix`` names the dataset that weighs the quantization. What comes out is compared with full precision on ``validation``, or
        else on what the model was validated on in training. Raises ``imatrix_without_use`` for a type that asks for no
        weights, and ``method_not_exported`` for an adapter of a method whose models can only be examined.
        """
        model = self._get_kind(key, ("adapter",) if form == "adapter" else ("base", "adapter", "merged"))
        _require_exportable(model)
        if imatrix is not None and (form != "gguf" or recipe.export.type not in WEIGHED_TYPES):
            kind = recipe.export.type if form == "gguf" else form
            raise ApplianceError("imatrix_without_use", ExitCode.USAGE, type=kind, types=", ".join(WEIGHED_TYPES))
        importance = self._datasets.get(imatrix) if imatrix else None
        held_out = self._datasets.get(validation) if validation else self._held_out_of(model.id)
        rows = DatasetRef.of(held_out) if held_out else None
        run_id, plan = self._runs.new_plan()
        plan.export(self.reference(model), name, recipe.export, form, check, rows, importance)
        return self._runs.start(run_id, f"export-{name}", plan, recipe)

    def get(self, key: str) -> Model:
        """The model with this id or name; raises ``model_unknown``."""
        model = self._store.models.find(key)
        if model is None:
            raise ApplianceError("model_unknown", ExitCode.USAGE, name=key)
        return model

    def get_servable(self, key: str) -> Model:
        """The GGUF model with this id or name. Raises ``model_unknown`` or ``model_not_servable``."""
        model = self.get(key)
        if model.kind != "gguf":
            raise ApplianceError("model_not_servable", ExitCode.USAGE, name=model.name, kind=model.kind)
        return model

    def all(self) -> Iterator[Model]:
        """Every model, oldest first."""
        return self._store.models.all()

    def made_by(self, run_id: str) -> list[Model]:
        """Models that a run has published."""
        return [model for model in self._store.models.all() if model.run_id == run_id]

    def scores(self, model_id: str) -> list[Score]:
        """The newest measurement of every name."""
        return list(self._store.scores.newest(model_id))

    def reference(self, model: Model) -> ModelRef:
        """The model as a plan needs it; an adapter with its base."""
        return ModelRef.of(model, self._base_of(model) if model.kind == "adapter" else None)

    def tokenizer_of(self, key: str) -> tuple[Path, Path | None]:
        """Folders that a model's tokenizer may lie in: of what is trained, and of an adapter on it. Raises ``model_kind_unfit``."""
        model = self._get_kind(key, ("base", "merged", "adapter"))
        if model.kind == "adapter":
            return Path(self._base_of(model).path), Path(model.path)
        return Path(model.path), None

    def lineage(self, key: str) -> dict[str, Any]:
        """What a model was made from, down to the sources: ``{id, name, kind, role, parents: [...]}``."""
        return self._tree(self.get(key).id, "", set())

    def dependants(self, key: str) -> dict[str, Any]:
        """What was made from a model, and from that: ``{id, name, kind, role, children: [...]}``."""
        return dependants(self._store, self.get(key).id)

    def verify(self, key: str) -> dict[str, Any]:
        """Compare a model's files with the checksum in the registry. Raises ``model_altered`` or ``model_files_missing``."""
        model = self.get(key)
        path = Path(model.path)
        if not path.exists():
            raise ApplianceError("model_files_missing", ExitCode.BAD_DATA, name=model.name, path=str(path))
        found = manifest_sha256(folder_manifest(path)) if path.is_dir() else file_sha256(path)
        if found != model.sha256:
            raise ApplianceError("model_altered", ExitCode.BAD_DATA, name=model.name, expected=model.sha256, found=found)
        return {"id": model.id, "name": model.name, "path": model.path, "sha256": found, "verified": True}

    def remove(self, key: str) -> Model:
        """Delete a model's row and files. Raises ``still_needed`` or ``in_use``."""
        model = self.get(key)
        folder = self._home.artefact("model", model.id)
        with self._store.transaction():
            require_unused(self._store, model.id, model.name, folder)
            self._store.models.remove(model.id)
        shutil.rmtree(folder, ignore_errors=True)
        return model

    def _get_kind(self, key: str, kinds: tuple[ModelKind, ...]) -> Model:
        model = self.get(key)
        if model.kind not in kinds:
            raise ApplianceError("model_kind_unfit", ExitCode.USAGE, name=model.name, kind=model.kind, kinds=", ".join(kinds))
        return model

    def _base_of(self, model: Model) -> Model:
        for edge in self._store.lineage.parents_of(model.id):
            if edge.role == "base":
                return self.get(edge.parent)
        raise ApplianceError("base_of_adapter_missing", ExitCode.BAD_DATA, name=model.name)

    def _held_out_of(self, model_id: str) -> Dataset | None:
        """What a model, or the adapter in it, was validated on, if it is still there."""
        for edge in self._store.lineage.parents_of(model_id):
            if edge.role == "validation":
                return self._store.datasets.find(edge.parent)
            if edge.role == "adapter":
                return self._held_out_of(edge.parent)
        return None

    def _tree(self, identifier: str, role: str, above: set[str]) -> dict[str, Any]:
        found = self._store.models.find(identifier) or self._store.datasets.find(identifier)
        node: dict[str, Any] = {"id": identifier, "name": found.name if found else identifier, "role": role}
        node["kind"] = found.kind if found else "removed"
        node["run"] = found.run_id if found else None
        edges = self._store.lineage.parents_of(identifier) if identifier not in above else ()
        node["parents"] = [self._tree(edge.parent, edge.role, above | {identifier}) for edge in edges]
        return node


def _gguf_of(source: Path) -> Path:
    """The only GGUF file of a folder without a base in it, else the source itself."""
    if not source.is_dir():
        source.open("rb").close()
        return source
    with os.scandir(source) as entries:
        names = [entry.name for entry in entries]
    found = [name for name in names if name.lower().endswith(".gguf")]
    return source / found[0] if len(found) == 1 and "config.json" not in names else source


def _require_exportable(model: Model) -> None:
    method = METHODS.get(str(model.facts.get("method", "qlora")))
    if method is not None and not method.can_export:
        alternative = METHODS[method.alternative].title
        raise ApplianceError("method_not_exported", ExitCode.USAGE, name=model.name, method=method.title, alternative=alternative)
