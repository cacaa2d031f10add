"""Plans: stage after stage, each knowing what it reads and what its result will be called, before anything runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import msgspec

from appliance.domain.dataset import ROWS_FILE, Dataset
from appliance.domain.home import Home
from appliance.domain.identity import new_id
from appliance.domain.methods import METHODS
from appliance.domain.model import Model, ModelKind
from appliance.domain.recipe import CleaningRecipe, ExportRecipe, MixRecipe, RedactionRecipe, SplitRecipe, TrainingRecipe
from appliance.domain.run import PlannedStage, Publication
from appliance.domain.spec import (
    AdoptSpec,
    CleanSpec,
    EvaluateSpec,
    ExportForm,
    ExportSpec,
    IngestSpec,
    MixedRows,
    MixSpec,
    RedactSpec,
    Spec,
    SplitSpec,
    TemplateChoice,
    TrainSpec,
)

Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class DatasetRef:
    """A dataset that exists or that an earlier stage of the plan will make."""

    id: str
    path: Path
    redacted: bool = False
    """Whether its personal data is, or will be, replaced."""

    @classmethod
    def of(cls, dataset: Dataset, redacted: bool = False) -> DatasetRef:
        """One that exists."""
        return cls(dataset.id, Path(dataset.path), redacted)

    @property
    def rows(self) -> str:
        """Path of its rows."""
        return str(self.path / ROWS_FILE)


@dataclass(frozen=True)
class MixedRef:
    """A dataset that is trained beside another one, or is mixed with others into a new one."""

    name: str
    dataset: DatasetRef
    share: float
    """Of all rows of an epoch, or of the new dataset."""

    @property
    def rows(self) -> MixedRows:
        """As a specification tells it."""
        return MixedRows(name=self.name, rows=self.dataset.rows, share=self.share)


@dataclass(frozen=True)
class ModelRef:
    """A model that exists or that an earlier stage of the plan will make."""

    id: str
    kind: ModelKind
    path: Path
    base: ModelRef | None = None
    """Of an adapter: what it was trained on."""
    quantized_base: bool = False
    """Of an adapter: whether it was trained on the base's NF4 weights."""

    @classmethod
    def of(cls, model: Model, base: Model | None = None) -> ModelRef:
        """One that exists; an adapter comes with its base."""
        method = METHODS.get(str(model.facts.get("method", "qlora")))
        on_4_bits = base is not None and bool(model.facts.get("quantized_base", method is None or method.quantizes_base))
        return cls(model.id, model.kind, Path(model.path), cls.of(base) if base else None, on_4_bits)


class Plan:
    """Collects stages in order."""

    def __init__(self, home: Home, run_id: str) -> None:
        self._home = home
        self._run_id = run_id
        self.stages: list[PlannedStage] = []

    @property
    def publications(self) -> list[Publication]:
        """Everything that the plan will bring into the registry."""
        return [publication for planned in self.stages for publication in planned.publications]

    def adopt(self, source: Path, name: str, base: ModelRef | None = None, chat_template: TemplateChoice | None = None) -> ModelRef:
        """Bring a base model folder in, an adapter's folder for a base that is here, or a GGUF file."""
        model_id = new_id("model")
        kind: Literal["adapter", "base", "gguf"] = "adapter" if base else "gguf" if source.is_file() else "base"
        place = self._home.artefact("model", model_id) / (f"{name}.gguf" if kind == "gguf" else kind)
        parents = ((base.id, "base"),) if base else ()
        publication = Publication(role=kind, noun="model", id=model_id, name=name, kind=kind, parents=parents)
        belongs_to = str(base.path) if base else ""
        copies = str(self._home.copies)
        spec = AdoptSpec(source=str(source), base=belongs_to, output=str(place), copies=copies, chat_template=chat_template)
        self._add("adopt", spec, publication)
        return ModelRef(model_id, kind, place, base)

    def ingest(self, source: Path, name: str, **choices: Any) -> DatasetRef:
        """Read a foreign file; ``choices`` are those of ``IngestSpec``."""
        made, publication = self._dataset("dataset", name)
        self._add("ingest", IngestSpec(source=str(source), output=str(made.path), **choices), publication)
        return made

    def clean(self, parent: DatasetRef, name: str, recipe: CleaningRecipe, base: Path | None = None) -> DatasetRef:
        """Clean a dataset; lengths in tokens are those of ``base``, a base's folder."""
        made, publication = self._dataset("dataset", name, parent)
        where = {"output": str(made.path), "base": str(base) if base else ""}
        spec = CleanSpec(rows=parent.rows, recipe=recipe, recheck_redaction=parent.redacted, **where)
        self._add("clean", spec, publication)
        return made

    def redact(self, parent: DatasetRef, name: str, recipe: RedactionRecipe, *, keep_key: bool = False, **choices: Any) -> DatasetRef:
        """Replace personal data; ``choices`` are those of ``RedactSpec``. A kept key lies apart from the data."""
        made, publication = self._dataset("dataset", name, parent)
        place = str(self._home.dataset_key(made.id)) if keep_key else ""
        self._add("redact", RedactSpec(rows=parent.rows, output=str(made.path), recipe=recipe, keep_key=place, **choices), publication)
        return replace(made, redacted=True)

    def check_redaction(self, dataset: DatasetRef, recipe: RedactionRecipe, **choices: Any) -> None:
        """Look for personal data in a dataset; ``choices`` are those of ``RedactSpec``."""
        report = self._home.run(self._run_id) / f"report-{len(self.stages):02d}.json"
        spec = RedactSpec(rows=dataset.rows, output=str(report), recipe=recipe, check=True, **choices)
        self._add("redact", spec, Publication(role="report", noun="score", id=dataset.id), title="check_redaction")

    def split(self, parent: DatasetRef, names: tuple[str, str, str], recipe: SplitRecipe) -> tuple[DatasetRef, DatasetRef | None]:
        """Divide a dataset into training, validation and test; a side without a share is not made. Gives the first two."""
        sides = [self._dataset(side, name, parent) for side, name in zip(("train", "validation", "test"), names, strict=True)]
        (train, _), (validation, _), (test, _) = sides
        outputs = {"train_output": str(train.path), "validation_output": str(validation.path), "test_output": str(test.path)}
        shares = (1.0, recipe.validation_share, recipe.test_share)
        rows = (row for (_, row), share in zip(sides, shares, strict=True) if share)
        self._add("split", SplitSpec(rows=parent.rows, recipe=recipe, **outputs), *rows)
        return train, validation if recipe.validation_share else None

    def mix(self, parts: Sequence[MixedRef], name: str, recipe: MixRecipe, base: Path | None = None) -> DatasetRef:
        """Make one dataset of several; tokens are counted by ``base``, a base's folder."""
        made, publication = self._dataset("dataset", name)
        parents = tuple((part.dataset.id, "source") for part in parts)
        spec = MixSpec(parts=tuple(part.rows for part in parts), output=str(made.path), base=str(base) if base else "", recipe=recipe)
        self._add("mix", spec, msgspec.structs.replace(publication, parents=parents))
        return made

    def train(
        self,
        base: ModelRef,
        rows: DatasetRef,
        validation: DatasetRef | None,
        name: str,
        recipe: TrainingRecipe,
        device: Device = "auto",
        *,
        terms: tuple[str, ...] = (),
        general: DatasetRef | None = None,
        mixed: Sequence[MixedRef] = (),
        without_redaction: tuple[str, ...] = (),
    ) -> ModelRef:
        """Train an adapter on a base, or a whole model where the method does that."""
        model_id = new_id("model")
        kind: Literal["merged", "adapter"] = "merged" if METHODS[recipe.method].whole_model else "adapter"
        place = self._home.artefact("model", model_id) / kind
        parents = [(base.id, "base"), (rows.id, "dataset")] + ([(validation.id, "validation")] if validation else [])
        parents += [(general.id, "general")] if general else []
        parents += [(part.dataset.id, "mixed") for part in mixed]
        publication = Publication(role=kind, noun="model", id=model_id, name=name, kind=kind, parents=tuple(parents))
        spec = TrainSpec(
            base=str(base.path),
            train_rows=rows.rows,
            validation_rows=validation.rows if validation else "",
            general_rows=general.rows if general else "",
            mixed=tuple(part.rows for part in mixed),
            terms=terms,
            without_redaction=without_redaction,
            output=str(place),
            checkpoints=str(self._home.checkpoints(self._run_id)),
            cache=str(self._home.cache),
            recipe=recipe,
            device=device,
        )
        self._add("train", spec, publication)
        is_adapter = kind == "adapter"
        return ModelRef(model_id, kind, place, base if is_adapter else None, is_adapter and METHODS[recipe.method].quantizes_base)

    def evaluate(
        self,
        model: ModelRef,
        rows: DatasetRef | None,
        exam: Path | None,
        title: str = "",
        device: Device = "auto",
        max_length: int = 1024,
        measure_merge: bool = False,
    ) -> None:
        """Examine a model; with ``measure_merge`` an adapter on both bases that it could be merged into."""
        report = self._home.run(self._run_id) / f"report-{len(self.stages):02d}.json"
        adapter = model.path if model.kind == "adapter" else None
        folder = model.base.path if model.base else model.path
        spec = EvaluateSpec(
            base="" if model.kind == "gguf" else str(folder),
            adapter=str(adapter) if adapter else "",
            gguf=str(model.path) if model.kind == "gguf" else "",
            quantized_base=model.quantized_base,
            rows=rows.rows if rows else "",
            exam=str(exam) if exam else "",
            output=str(report),
            device=device,
            max_length=max_length,
            measure_merge=measure_merge,
            cache=str(self._home.cache),
        )
        self._add("evaluate", spec, Publication(role="report", noun="score", id=model.id), title=title)

    def export(
        self,
        model: ModelRef,
        name: str,
        recipe: ExportRecipe,
        form: ExportForm = "gguf",
        check: bool = True,
        validation: DatasetRef | None = None,
        importance: Dataset | None = None,
    ) -> ModelRef:
        """Write a model for serving; it is compared with full precision on ``validation`` and quantized by the matrix of ``importance``."""
        model_id = new_id("model")
        folder = self._home.artefact("model", model_id)
        place = folder / "merged" if form == "merged" else folder / f"{name}.gguf"
        kind: Literal["merged", "gguf", "gguf_adapter"] = "gguf_adapter" if form == "adapter" else form
        base = model.base or model
        parents = ((base.id, "base"),) + (((model.id, "adapter"),) if model.base else ())
        parents += ((importance.id, "importance"),) if importance else ()
        spec = ExportSpec(
            base=str(base.path),
            adapter=str(model.path) if model.base else "",
            output=str(place),
            quantized_base=model.quantized_base,
            form=form,
            name=name,
            recipe=recipe,
            check=check,
            validation_rows=validation.rows if validation else "",
            importance_rows=DatasetRef.of(importance).rows if importance else "",
            importance_name=importance.name if importance else "conversations",
        )
        self._add("export", spec, Publication(role=kind, noun="model", id=model_id, name=name, kind=kind, parents=parents))
        return ModelRef(model_id, kind, place)

    def _dataset(self, role: str, name: str, parent: DatasetRef | None = None) -> tuple[DatasetRef, Publication]:
        dataset_id = new_id("dataset")
        place = self._home.artefact("dataset", dataset_id) / "data"
        parents = ((parent.id, "source"),) if parent else ()
        publication = Publication(role=role, noun="dataset", id=dataset_id, name=name, kind="conversations", parents=parents)
        return DatasetRef(dataset_id, place), publication

    def _add(self, stage: str, spec: Spec, *publications: Publication, title: str = "") -> None:
        self.stages.append(PlannedStage(stage=stage, spec=msgspec.to_builtins(spec), publications=publications, title=title))
