"""Recipes: every choice of a run, with its type, range and default, validated whole before anything is loaded.

One declaration of a field gives the command-line option, the form field, the TOML key and the row in the documentation; its words are
in the texts under ``settings."section.field"``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.methods import ABSURD, MethodName, Objective, times_usual, usual_learning_rate

TARGETS = ("all_linear", "attention", "q_k_v_gate")
"""Sets of linear layers that have a name, see ``Family.linear_set``."""


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections of a recipe share."""


class CleaningRecipe(Section, frozen=True, kw_only=True):
    """Which rows are worth learning from."""

    markup: bool = True
    """HTML tags, comments, scripts and entities become the text that a reader would see."""
    invisible: bool = True
    """Control characters, terminal escape sequences, zero-width characters and marks of direction go."""
    normalise: bool = True
    """Full-width letters and digits to half width, Unicode NFC, whitespace tidied."""
    boilerplate: bool = True
    """Lines that are advertisement or the furniture of a page go: 扫码关注, 责任编辑, 版权所有, All rights reserved …"""
    min_answer_chars: Annotated[int, Meta(ge=0, le=10_000)] = 1
    """Shortest answer in characters."""
    max_chars: Annotated[int, Meta(ge=16, le=10_000_000)] = 32_768
    """Longest conversation in characters, all turns together; documents may have any length."""
    min_tokens: Annotated[int, Meta(ge=0, le=131_072)] = 0
    """Shortest row in tokens of a base that is named; 0 for no limit."""
    max_tokens: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """Longest row in tokens of a base that is named; 0 for no limit."""
    min_chinese_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    """Smallest share of Chinese characters among a row's letters."""
    min_english_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.0
    """Smallest share of Latin letters among a row's letters."""
    max_other_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.5
    """Largest share of letters that are neither Chinese nor Latin."""
    max_repeated_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.7
    """Largest share of a text that only says again what it has said; 1 for no limit."""
    max_symbol_share: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.7
    """Largest share of characters that are neither letters nor digits; 1 for no limit."""
    exact_duplicates: bool = True
    """Keep the first of rows that are equal after normalisation."""
    near_duplicates: Literal["off", "list", "keep_first", "keep_longest"] = "off"
    """What happens to rows that say nearly the same: nothing, they are counted, or one of each group is kept."""
    similarity: Annotated[float, Meta(ge=0.3, le=1.0)] = 0.8
    """Jaccard similarity of character 5-grams from which rows are near-duplicates."""
    contradictions: Literal["off", "list", "keep_first", "drop_all"] = "list"
    """What happens to rows that answer the same question differently."""


PRIVATE_KINDS = (
    "id_number", "bank_card", "mobile", "vin", "plate", "file_number", "travel_document", "landline", "email", "account", "network",
    "address", "name",
)  # fmt: skip
"""What redaction knows of personal data."""


class RedactionRecipe(Section, frozen=True, kw_only=True):
    """How personal data is replaced."""

    leave: Annotated[str, Meta(pattern=r"^([a-z_]+(,[a-z_]+)*)?$", max_length=400, examples=list(PRIVATE_KINDS))] = ""
    """Kinds that are not looked for, with commas between; the record of the dataset names them."""
    uncertain: Literal["replace", "review"] = "replace"
    """What happens to finds that may be something else: replaced like all others, or left until a person has decided."""
    addresses: Literal["near_people", "all"] = "near_people"
    """Where people live, or every street with a house number."""
    keep_plate_region: bool = True
    """Pseudonyms of plates keep province and office."""
    keep_area: bool = True
    """Pseudonyms keep province, city, district and area code."""
    keep_sex: bool = True
    """Pseudonyms of identity numbers keep the sex."""
    age_band: Annotated[int, Meta(ge=0, le=50)] = 10
    """Pseudonyms of identity numbers keep the year of birth to within so many years; 0 keeps nothing of it."""


class SplitRecipe(Section, frozen=True, kw_only=True):
    """How rows are divided."""

    validation_share: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.1
    """Share of rows held back for validation."""
    test_share: Annotated[float, Meta(ge=0.0, le=0.4)] = 0.0
    """Share of rows held back for a test that nothing is chosen by; 0 for none."""
    near_duplicates: bool = True
    """Rows that say nearly the same stay on one side."""
    similarity: Annotated[float, Meta(ge=0.3, le=1.0)] = 0.8
    """Jaccard similarity of character 5-grams from which rows are near-duplicates."""
    stratify_by: Annotated[str, Meta(pattern=r"^[\w.-]{0,64}$")] = ""
    """A label of the rows; each of its classes is divided by the same shares."""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 17
    """Another number divides the same rows another way."""


class MixRecipe(Section, frozen=True, kw_only=True):
    """How datasets are mixed into one."""

    general_share: Annotated[float, Meta(ge=0.0, le=0.9)] = 0.2
    """Share of general rows, where nobody says another."""
    repeat: bool = True
    """A dataset with too few rows for its share is used several times; otherwise the result has fewer rows."""
    rows: Annotated[int, Meta(ge=0, le=1_000_000_000)] = 0
    """Rows of the result; 0: as many as use every row of the first dataset once."""
    balance_by: Annotated[str, Meta(pattern=r"^[\w.-]{0,64}$")] = ""
    """A label of the rows; rows of its rare classes are used several times."""
    balance: Annotated[float, Meta(gt=0.0, le=1.0)] = 1.0
    """How many rows a rare class gets, as a share of those of the largest class."""
    max_repeats: Annotated[int, Meta(ge=1, le=100)] = 5
    """How often a row of a rare class is used at most."""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 17
    """Another number chooses other rows and another order."""


class TrainingRecipe(Section, frozen=True, kw_only=True):
    """How a model is trained."""

    method: MethodName = "qlora"
    """What of the model is trained, see ``methods.py``."""
    objective: Objective = "answers"
    """Say the rows' answers, or (DPO) prefer the better of two."""
    targets: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]+(,[A-Za-z0-9_]+)*$", max_length=400, examples=list(TARGETS))] = "all_linear"
    """Linear layers that get a low-rank adapter: a set by its name, or layers by their names with commas."""
    rank: Annotated[int, Meta(ge=1, le=1024)] = 16
    """Width of the LoRA matrices."""
    alpha: Annotated[int, Meta(ge=1, le=4096)] = 32
    """LoRA strength; the update is scaled by alpha / rank."""
    dropout: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.05
    """Share of LoRA inputs that are left out at random."""
    learning_rate: Annotated[float, Meta(gt=0.0, le=0.1)] = 2e-4
    """Peak of the cosine schedule; where a recipe names none, ``build_recipe`` takes the usual one of method and objective."""
    lora_plus_ratio: Annotated[float, Meta(ge=1.0, le=128.0)] = 16.0
    """LoRA+: how many times faster B learns than A."""
    virtual_tokens: Annotated[int, Meta(ge=1, le=1024)] = 20
    """Prefix and prompt tuning: how many virtual tokens are learned."""
    unfreeze: Literal["off", "layer_wise"] = "off"
    """Full fine-tuning: train all blocks from the start, or the last first and the others one after another."""
    unfreeze_share: Annotated[float, Meta(gt=0.0, le=1.0)] = 0.5
    """Layer-wise unfreezing: share of the steps after which everything is trained."""
    dpo_beta: Annotated[float, Meta(gt=0.0, le=10.0)] = 0.1
    """DPO: how strongly the model is held to what it was."""
    epochs: Annotated[float, Meta(gt=0.0, le=1000.0)] = 3.0
    """How often every row is seen."""
    max_steps: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    """Optimizer steps at most; 0 leaves it to the epochs."""
    batch_size: Annotated[int, Meta(ge=1, le=4096)] = 16
    """Rows per optimizer step."""
    micro_batch_size: Annotated[int, Meta(ge=1, le=512)] = 4
    """Rows of the longest kind that go through the model at once; the rest of a batch is accumulated."""
    packing: bool = True
    """Rows go through the model behind one another, as many as fit, instead of padded to the longest."""
    max_length: Annotated[int, Meta(ge=16, le=131_072)] = 1024
    """Longest row in tokens."""
    long_rows: Literal["leave_out", "refuse", "cut"] = "leave_out"
    """What happens to longer rows; they are counted and told in any case."""
    warmup_ratio: Annotated[float, Meta(ge=0.0, le=0.5)] = 0.03
    """Share of the steps in which the learning rate rises."""
    weight_decay: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.01
    """Pull of the trained weights towards zero."""
    max_grad_norm: Annotated[float, Meta(gt=0.0, le=100.0)] = 1.0
    """Gradients longer than this are shortened to it."""
    checkpointing: Literal["auto", "none", "every_n", "all"] = "auto"
    """Which blocks recompute their activations instead of keeping them; ``auto``: as few as the memory allows."""
    checkpoint_every: Annotated[int, Meta(ge=2, le=64)] = 2
    """With ``every_n``: one block in so many recomputes."""
    arithmetic: Literal["auto", "float32", "bfloat16"] = "auto"
    """Numbers that activations and products are in; ``auto``: bfloat16 where the device is quicker with it."""
    eval_steps: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    """Steps between validations; 0 means once per epoch."""
    save_steps: Annotated[int, Meta(ge=1, le=1_000_000)] = 50
    """Steps between checkpoints."""
    keep_checkpoints: Annotated[int, Meta(ge=1, le=100)] = 2
    """How many checkpoints stay on disk."""
    keep_best: Literal["best", "last"] = "best"
    """Which weights are published: those that did best in validation, or those of the last step."""
    early_stopping_patience: Annotated[int, Meta(ge=0, le=1000)] = 0
    """Validations without improvement after which training ends; 0 leaves it to the epochs."""
    early_stopping_min_delta: Annotated[float, Meta(ge=0.0, le=10.0)] = 0.0
    """Nats by which a validation loss has to be lower to count as an improvement."""
    seed: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 17
    """Order of rows, dropout and the first LoRA weights."""
    processes: Annotated[int, Meta(ge=1, le=64)] = 1
    """Processes that train together, each on a GPU of its own."""


GgufType = Literal["q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "bf16"]
MergeBase = Literal["auto", "original", "dequantized"]

WEIGHED_TYPES: tuple[GgufType, ...] = ("q4_k_m", "q5_k_m", "q6_k")
"""Those whose arithmetic uses an importance matrix; q8_0 and the unquantized ones do not."""


class ExportRecipe(Section, frozen=True, kw_only=True):
    """What is written for serving."""

    type: GgufType = "q4_k_m"
    """Mix of tensor types of the GGUF file."""
    quantizer: Literal["fast", "gpu", "reference"] = "fast"
    """Whose code does the arithmetic; the bytes are the same."""
    merge_into: MergeBase = "auto"
    """What an adapter is added to: the base as it was brought in, or its 4-bit weights of a QLoRA training, turned back into numbers.

    ``auto`` takes the weights that the adapter was trained on.
    """
    imatrix_tokens: Annotated[int, Meta(ge=1024, le=10_000_000)] = 32_768
    """Tokens of the sample that an importance matrix is computed from."""
    check_tokens: Annotated[int, Meta(ge=256, le=10_000_000)] = 8192
    """Tokens of the sample on which the quantized model is compared with full precision."""
    max_perplexity_ratio: Annotated[float, Meta(ge=1.0, le=1000.0)] = 1.03
    """Perplexity of the quantized model, divided by that of full precision, beyond which a larger type is advised."""
    max_kl_divergence: Annotated[float, Meta(gt=0.0, le=100.0)] = 0.035
    """Mean divergence from full precision, in nats per token, beyond which a larger type is advised."""
    min_same_top: Annotated[float, Meta(ge=0.0, le=1.0)] = 0.91
    """Share of tokens on which both models agree, below which a larger type is advised."""


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every choice of a run."""

    cleaning: CleaningRecipe = CleaningRecipe()
    redaction: RedactionRecipe = RedactionRecipe()
    split: SplitRecipe = SplitRecipe()
    mix: MixRecipe = MixRecipe()
    training: TrainingRecipe = TrainingRecipe()
    export: ExportRecipe = ExportRecipe()


class Problem(msgspec.Struct, frozen=True):
    """One thing that is wrong with a recipe; ``code`` is a key of the texts."""

    code: str
    parameters: dict[str, Any]


class RecipeInvalid(ApplianceError):
    """A recipe with at least one problem; all of them are in ``parameters["problems"]``."""

    @classmethod
    def of(cls, problems: list[Problem]) -> RecipeInvalid:
        """The error that reports these problems together."""
        told = [{"code": problem.code, **problem.parameters} for problem in problems]
        return cls("recipe_invalid", ExitCode.USAGE, count=len(problems), problems=told)


class Setting(msgspec.Struct, frozen=True):
    """One field of a recipe as a form, an option or a documentation row needs it."""

    key: str
    """``section.field``."""
    kind: Literal["bool", "int", "float", "choice", "text"]
    default: Any
    minimum: float | None = None
    above: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()
    """All that are allowed; for a text, those that have a name."""
    annotation: Any = None


def settings() -> tuple[Setting, ...]:
    """Every field of every section, in the order of declaration."""
    return tuple(_SETTINGS.values())


def build_recipe(*layers: Mapping[str, Mapping[str, Any]], rate_share: float = 1.0) -> Recipe:
    """A recipe from the defaults and layers of ``{section: {field: value}}``, later ones winning.

    Numbers may be strings, as they come from a command line. Where no layer names a learning rate, it is ``rate_share`` times the usual
    one of method and objective. Raises ``RecipeInvalid`` with every problem at once.
    """
    problems: list[Problem] = []
    chosen: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for layer in layers:
        for key, value in _flatten(layer, problems):
            setting = _SETTINGS.get(key)
            if setting is None:
                problems.append(Problem("setting_unknown", {"key": key, "known": ", ".join(_nearest(key))}))
                continue
            section, _, field = key.partition(".")
            checked = _checked(setting, value)
            if isinstance(checked, Problem):
                problems.append(checked)
            else:
                chosen[section][field] = checked
    if problems:
        raise RecipeInvalid.of(problems)
    return _with_usual_rate(chosen, rate_share)


def _with_usual_rate(chosen: dict[str, dict[str, Any]], share: float) -> Recipe:
    """The recipe, with the learning rate of its method unless it names one. Refuses one that can only be a slip of the keyboard."""
    recipe = msgspec.convert(chosen, Recipe)
    method, objective = recipe.training.method, recipe.training.objective
    usual = usual_learning_rate(method, objective)
    if "learning_rate" not in chosen["training"]:
        rate = float(f"{share * usual:.12g}")
        return msgspec.structs.replace(recipe, training=msgspec.structs.replace(recipe.training, learning_rate=rate))
    if times_usual(recipe.training.learning_rate, method, objective) >= ABSURD:
        shown = {"key": "training.learning_rate", "value": f"{recipe.training.learning_rate:g}", "usual": f"{usual:g}", "method": method}
        raise RecipeInvalid.of([Problem("learning_rate_absurd", shown)])
    return recipe


def as_layer(recipe: Recipe) -> dict[str, dict[str, Any]]:
    """A recipe as ``{section: {field: value}}``, the form in which it is stored."""
    return msgspec.to_builtins(recipe)  # type: ignore[no-any-return]  # a Struct becomes a dict of its fields


def _flatten(layer: Mapping[str, Any], problems: list[Problem]) -> Iterator[tuple[str, Any]]:
    for section, fields in layer.items():
        if section not in _SECTIONS:
            problems.append(Problem("section_unknown", {"section": section, "known": ", ".join(_SECTIONS)}))
        elif not isinstance(fields, Mapping):
            problems.append(Problem("section_not_table", {"section": section}))
        else:
            yield from ((f"{section}.{field}", value) for field, value in fields.items())


def _checked(setting: Setting, value: Any) -> Any:
    """The value in the field's own type, or the Problem that it has."""
    loose = isinstance(value, str) and setting.kind not in ("choice", "text")
    try:
        return msgspec.convert(value, setting.annotation, strict=not loose)
    except msgspec.ValidationError:
        shown = {"key": setting.key, "value": str(value)[:80]}
    if setting.kind == "choice":
        return Problem("setting_not_a_choice", {**shown, "choices": ", ".join(setting.choices)})
    if setting.kind == "bool":
        return Problem("setting_not_yes_no", shown)
    if setting.kind == "text":
        return Problem("setting_not_names", {**shown, "choices": ", ".join(setting.choices)})
    bounds = {"minimum": setting.minimum if setting.above is None else setting.above, "maximum": setting.maximum}
    code = {"int": "setting_not_a_whole_number", "float": "setting_not_a_number"}[setting.kind]
    return Problem(code, {**shown, **bounds})


def _nearest(key: str) -> list[str]:
    from difflib import get_close_matches  # only needed when somebody has mistyped

    return get_close_matches(key, _SETTINGS, n=3, cutoff=0.4)


def _collect() -> Iterator[Setting]:
    kinds: dict[Any, Literal["bool", "int", "float", "text"]] = {bool: "bool", int: "int", float: "float", str: "text"}
    for section, struct in _SECTIONS.items():
        hints = get_type_hints(struct, include_extras=True)
        for field in msgspec.structs.fields(struct):
            annotation, key = hints[field.name], f"{section}.{field.name}"
            bare = get_args(annotation)[0] if get_origin(annotation) is Annotated else annotation
            if get_origin(bare) is Literal:
                yield Setting(key, "choice", field.default, choices=get_args(bare), annotation=annotation)
                continue
            meta = next((extra for extra in get_args(annotation) if isinstance(extra, Meta)), Meta())
            named = tuple(meta.examples or ())
            yield Setting(key, kinds[bare], field.default, meta.ge, meta.gt, meta.le, choices=named, annotation=annotation)


_SECTIONS: dict[str, type[Section]] = {
    "cleaning": CleaningRecipe,
    "redaction": RedactionRecipe,
    "split": SplitRecipe,
    "mix": MixRecipe,
    "training": TrainingRecipe,
    "export": ExportRecipe,
}
_SETTINGS: dict[str, Setting] = {setting.key: setting for setting in _collect()}
