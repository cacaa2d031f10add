"""What a stage is asked to do: one frozen structure per stage, JSON on its way to the worker.

All paths are absolute. A stage writes beside the final place and renames; ``output`` is the final place and does not exist before.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from appliance.domain.recipe import CleaningRecipe, ExportRecipe, MixRecipe, RedactionRecipe, SplitRecipe, TrainingRecipe
from appliance.domain.redaction import Decision


class Spec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all specifications share."""


TemplateChoice = Literal["auto", "chatml", "llama3", "inst"]
"""A chat template for a base without one: the first that fits its tokenizer, or one by its name."""


class AdoptSpec(Spec, frozen=True, kw_only=True):
    """Bring a model in: screen it, copy it, publish it."""

    source: str
    """A base's folder (config, tokenizer, safetensors), a peft adapter's folder, or one ``.gguf`` file."""
    base: str = ""
    """Folder of the base that an adapter belongs to; empty for anything but an adapter."""
    output: str
    """The new folder, or the new ``.gguf`` file."""
    copies: str = ""
    """Folder for what is copied and not complete yet, on the same file system as ``output``; empty for one beside it."""
    chat_template: TemplateChoice | None = None
    """Given to a base that brings none; None for nothing but an offer."""
    check: bool = True
    """Load a GGUF file in a child process and let it answer before it is published."""


class IngestSpec(Spec, frozen=True, kw_only=True):
    """Read one foreign file into conversations."""

    source: str
    output: str
    """Folder of the new dataset."""
    format: str = "auto"
    """Name of an importer, or ``auto`` to recognise it by content."""
    columns: dict[str, str] = {}
    """For tables: our field (``instruction``, ``output`` …, or one of the police's own records) → the file's column."""
    encoding: str = "auto"


class LookSpec(Spec, frozen=True, kw_only=True):
    """Tell how a foreign file would be read; nothing is made. The choices are those of ``IngestSpec``."""

    source: str
    format: str = "auto"
    columns: dict[str, str] = {}
    encoding: str = "auto"
    rows: int = 3
    """How many rows are shown, and how many rejected ones at most."""


class CleanSpec(Spec, frozen=True, kw_only=True):
    """Tidy rows and drop those that nobody should learn from."""

    rows: str
    """The parent's ``rows.jsonl``."""
    output: str
    base: str = ""
    """Folder of the base whose tokens are counted; empty for none."""
    recipe: CleaningRecipe = CleaningRecipe()
    recheck_redaction: bool = False
    """Look for personal data in rows that were changed: the parent had none."""


class GroupSpec(Spec, frozen=True, kw_only=True):
    """List rows that belong together: near-duplicates, or contradicting answers to one question."""

    rows: str
    output: str
    """The groups, one JSON object per line."""
    kind: Literal["near_duplicates", "contradictions"] = "near_duplicates"
    similarity: float = 0.8


class RedactSpec(Spec, frozen=True, kw_only=True):
    """Replace personal data by pseudonyms, or with ``check`` only look for it."""

    rows: str
    output: str
    """Folder of the new dataset; of a check, the report, a JSON file."""
    recipe: RedactionRecipe = RedactionRecipe()
    check: bool = False
    key_file: str = ""
    """A file with the key; empty for a new key that nobody keeps. The key itself is in no specification."""
    keep_key: str = ""
    """Where a new key is written; empty for nowhere."""
    decisions: tuple[Decision, ...] = ()
    decided_by: str = ""
    """Who decided, for the record."""


class SplitSpec(Spec, frozen=True, kw_only=True):
    """Divide rows into training, validation and test by their content hash."""

    rows: str
    train_output: str
    validation_output: str
    test_output: str = ""
    recipe: SplitRecipe = SplitRecipe()


class DescribeSpec(Spec, frozen=True, kw_only=True):
    """Tell what a dataset looks like."""

    rows: str
    """Path of a ``rows.jsonl``."""
    output: str
    """The description, a JSON file."""
    base: str = ""
    """Folder of the base whose tokens are counted; empty to count characters."""
    adapter: str = ""
    """Folder of an adapter, which may bring a tokenizer of its own; empty for none."""


class MixedRows(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows of another dataset that are trained beside a dataset's own, as a rule general ones, against forgetting."""

    name: str
    """Of the dataset, for the record."""
    rows: str
    """Path of its ``rows.jsonl``."""
    share: float
    """Of all rows that an epoch sees, between 0 and 1."""


class MixSpec(Spec, frozen=True, kw_only=True):
    """Make one dataset of several."""

    parts: tuple[MixedRows, ...]
    """Their shares are those of all rows of the result and come to 1."""
    output: str
    base: str = ""
    """Folder of the base whose tokens are counted; empty for none."""
    recipe: MixRecipe = MixRecipe()


class TrainSpec(Spec, frozen=True, kw_only=True):
    """Train an adapter on a base."""

    base: str
    """Folder of safetensors."""
    train_rows: str
    validation_rows: str
    """Path of a ``rows.jsonl``, or an empty string for none."""
    mixed: tuple[MixedRows, ...] = ()
    general_rows: str = ""
    """Path of a ``rows.jsonl`` whose loss tells what is forgotten; empty for none. It is never trained."""
    terms: tuple[str, ...] = ()
    """Words that become tokens of their own, unless they are already."""
    without_redaction: tuple[str, ...] = ()
    """Names of datasets that are trained although they have no passed report of redaction, because somebody has said so."""
    output: str
    """Folder of the new adapter."""
    checkpoints: str
    """Folder for checkpoints; the newest verified one is resumed from."""
    cache: str = ""
    """Folder for what other trainings can use again, such as tokenized rows; empty for none."""
    recipe: TrainingRecipe = TrainingRecipe()
    device: Literal["auto", "cpu", "cuda"] = "auto"


class EstimateSpec(Spec, frozen=True, kw_only=True):
    """Plan a training: memory, disk, steps and time, before anything is loaded."""

    base: str
    rows: str
    """Path of a ``rows.jsonl``."""
    share: float = 1.0
    """Of the rows that will be trained, for a dataset that is split first."""
    validation_rows: str = ""
    """Path of a ``rows.jsonl``, which may be that of ``rows`` again; empty for none."""
    validation_share: float = 1.0
    """Of the rows in it that will be held out."""
    mixed: tuple[MixedRows, ...] = ()
    general_rows: str = ""
    """Path of a ``rows.jsonl`` whose loss tells what is forgotten; empty for none."""
    general_share: float = 1.0
    """Of the rows in it that will be looked at."""
    terms: tuple[str, ...] = ()
    """Words that become tokens of their own."""
    recipe: TrainingRecipe = TrainingRecipe()
    device: Literal["auto", "cpu", "cuda"] = "auto"
    cache: str = ""
    """Folder for what trainings can use again, such as tokenized rows; empty for none."""
    calibrate: bool = True
    """Measure one block of the base for the time."""
    compare: bool = False
    """Every method side by side, not the recipe's alone."""


class EvaluateSpec(Spec, frozen=True, kw_only=True):
    """Examine one model: a base, a base with its adapter, or a GGUF file."""

    base: str = ""
    adapter: str = ""
    gguf: str = ""
    quantized_base: bool = False
    """Load the base as NF4, as it was while the adapter was trained."""
    rows: str = ""
    """Held-out conversations for loss and perplexity; empty for none."""
    exam: str = ""
    """Questions with required keywords; empty for none."""
    output: str
    """The report, a JSON file."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    max_length: int = 1024
    """Longest row in tokens; longer ones are counted and left out."""
    measure_merge: bool = False
    """Measure an adapter's loss on the original base and on its NF4 weights: what either way of merging would give."""
    cache: str = ""
    """Folder for what other trainings and examinations can use again; empty for none."""


ExportForm = Literal["gguf", "merged", "adapter"]
"""One file to be served, a folder of safetensors, or the adapter alone as a GGUF file that is used with the base's own."""


class ExportSpec(Spec, frozen=True, kw_only=True):
    """Merge an adapter into its base and write it as one GGUF file or as a folder of safetensors."""

    base: str
    adapter: str = ""
    """Folder of a peft adapter; empty to export the base itself."""
    output: str
    """The ``.gguf`` file, or with ``form = "merged"`` the folder."""
    quantized_base: bool = False
    """Whether the adapter was trained on the base's NF4 weights."""
    form: ExportForm = "gguf"
    name: str = ""
    """Goes into the metadata as ``general.name``."""
    recipe: ExportRecipe = ExportRecipe()
    check: bool = True
    validation_rows: str = ""
    """A ``rows.jsonl`` on which the quantized model is compared with full precision; empty for none."""
    importance_rows: str = ""
    """A ``rows.jsonl`` that the importance matrix is computed from; empty for none."""
    importance_name: str = "conversations"
    """What the matrix says it was computed from."""


class ProbeSpec(Spec, frozen=True, kw_only=True):
    """See whether the heavy libraries work on this machine."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
