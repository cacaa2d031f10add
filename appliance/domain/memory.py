"""How much memory a training takes, by part, from the base's config and the recipe alone: pure arithmetic, no library.

The formulas count what torch keeps for the backward pass of a Llama-like block with peft's adapters in it (found by hooking every tensor
that is saved, transformers 5.23 and peft 0.21), the NF4 storage of bitsandbytes, and what the optimizers remember. All sizes are bytes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import msgspec

from appliance.domain.families.decoder import EMBEDDING, HEAD, embeddings_are_tied, head_size, key_value_heads, required
from appliance.domain.family import BLOCK_PREFIX, Config, Family
from appliance.domain.methods import METHODS
from appliance.domain.recipe import TrainingRecipe

NF4_BYTES = 0.5 + (1 + 4 / 256) / 64
"""Of one weight: four bits, one byte of scale for 64 weights, four bytes of scale for 256 scales (Dettmers et al. 2023)."""
LOGITS_AT_ONCE = 1024
"""Trained tokens whose logits exist together, as in ``stages/language_model/loss.py``."""

CPU_LIBRARIES = 480_000_000
"""Resident once torch, transformers, peft and bitsandbytes are imported (torch 2.13 without CUDA: 380 MB), and small change."""
GPU_CONTEXT = 600_000_000
"""What CUDA's context and the libraries' work spaces take of a GPU beside torch's own tensors; not measured here."""
HEAP_WASTE, WASTEFUL_PIECE = 0.2, 12_000_000
"""Holes in glibc's heap for each byte of activations, and how large the largest must be for that; smaller ones leave fewer holes."""
WEIGHT_WASTE, WASTEFUL_WEIGHT = 0.15, 4_000_000
"""The same for matrices that come out of NF4 for one product each and go again, while what is kept lies between them.

Both fitted with ``scripts/bench-plan``; see docs/benchmarks.md.
"""
STORED_ITEM = 2
"""Bytes of a number in a base's file: bfloat16 or float16, as nearly all are."""


@dataclass(frozen=True, kw_only=True)
class BaseShape:
    """A base as far as memory and time are concerned."""

    hidden: int
    inner: int
    query: int
    """Width of all query heads together."""
    key: int
    """Width of all key heads together; values are as wide."""
    blocks: int
    vocabulary: int
    tied: bool
    linear: dict[str, tuple[int, int]]
    """Linear layers of one block by their last name: (rows, columns)."""
    parameters: int
    """Of the whole base."""
    new_tokens: int = 0
    """Words that become tokens of their own."""

    @property
    def linear_parameters(self) -> int:
        """Weights of all linear layers of all blocks: what NF4 stores."""
        return self.blocks * sum(rows * columns for rows, columns in self.linear.values())

    @property
    def outer_parameters(self) -> int:
        """Embedding, and the head where it is one of its own."""
        return self.vocabulary * self.hidden * (1 if self.tied else 2)

    @property
    def new_parameters(self) -> int:
        """Of the rows of new tokens in the embedding, and in the head where it is one of its own."""
        return self.new_tokens * self.hidden * (1 if self.tied else 2)


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """Where a training is to compute and what is free there."""

    kind: Literal["cpu", "cuda"]
    name: str
    free: int
    """Bytes that a new process may take."""
    total: int
    half_precision: bool = False
    """Weights that are not quantized and arithmetic are bfloat16."""

    @property
    def item(self) -> int:
        """Bytes of a number in arithmetic."""
        return 2 if self.half_precision else 4


class Load(msgspec.Struct, frozen=True, kw_only=True):
    """The largest micro-batch of a training."""

    tokens: int
    """With padding where rows are padded."""
    trained: int
    longest: int
    """Tokens of its longest row."""


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes by part; ``total`` is the peak."""

    weights: int
    """Linear layers, quantized or not, and norms."""
    embeddings: int
    """Embedding and head."""
    adapter: int
    """Trained numbers beside the base."""
    gradients: int
    optimizer: int
    activations: int
    """Kept for the backward pass, and the work of the block that is at it."""
    logits: int
    framework: int
    """Libraries, or the GPU's context."""
    overhead: int = 0
    """Copies for checkpoints and holes in the heap; or the base's file, which is in memory while it is read, as far as that is more than
    all that comes later."""

    @property
    def total(self) -> int:
        """The peak while training."""
        return sum(getattr(self, name) for name in self.__struct_fields__)

    def parts(self) -> dict[str, int]:
        """Bytes by the part's name, in the order of a table."""
        return {name: getattr(self, name) for name in self.__struct_fields__}


def shape_of(family: Family, config: Config) -> BaseShape:
    """What memory depends on, read from a base's config."""
    tensors = family.tensors(config)
    linear = {}
    for name in tensors:
        if name.startswith(f"{BLOCK_PREFIX}0.") and name.endswith(".weight"):
            module = name.split(".")[-2]
            if module in family.linear_modules:
                rows, columns = tensors[name]
                linear[module] = (rows, columns)
    head, blocks = head_size(config), required(config, "num_hidden_layers")
    return BaseShape(
        hidden=required(config, "hidden_size"),
        inner=required(config, "intermediate_size"),
        query=required(config, "num_attention_heads") * head,
        key=key_value_heads(config) * head,
        blocks=blocks,
        vocabulary=tensors[EMBEDDING][0],
        tied=embeddings_are_tied(config) or HEAD not in tensors,
        linear=linear,
        parameters=sum(math.prod(shape) for shape in tensors.values()),
    )


def trained_parameters(shape: BaseShape, family: Family, recipe: TrainingRecipe) -> int:
    """How many numbers a recipe trains."""
    method = METHODS[recipe.method]
    if method.whole_model:
        return shape.parameters
    if method.low_rank:
        layers = [shape.linear[name] for name in family.linear_set(recipe.targets)]
        lengths = sum(rows for rows, _ in layers) if recipe.method == "dora" else 0
        return shape.blocks * (recipe.rank * sum(rows + columns for rows, columns in layers) + lengths) + shape.new_parameters
    if recipe.method == "ia3":
        return shape.blocks * (2 * shape.key + shape.inner)
    width = shape.blocks * 2 * shape.key if recipe.method == "prefix" else shape.hidden
    return recipe.virtual_tokens * width


def memory_of(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, load: Load, recomputed: int) -> Memory:
    """The parts of a training's peak when ``recomputed`` of the blocks recompute their activations."""
    method = METHODS[recipe.method]
    trained = trained_parameters(shape, family, recipe)
    item = 4 if method.whole_model else room.item
    linear, outer = shape.linear_parameters, shape.outer_parameters
    rest = shape.parameters - linear - outer
    adapter = 0 if method.whole_model else 4 * trained
    activations = _activations(shape, family, recipe, room, load, recomputed)
    logits = _logits(shape, recipe, room, load)
    on_cpu = room.kind == "cpu"
    found = Memory(
        weights=int(linear * (NF4_BYTES if method.quantizes_base else item)) + rest * item,
        embeddings=outer * item,
        adapter=adapter,
        gradients=4 * trained,
        optimizer=optimizer_bytes(trained, room),
        activations=activations,
        logits=logits,
        framework=CPU_LIBRARIES if on_cpu else GPU_CONTEXT,
    )
    if not on_cpu:
        return found
    later = found.gradients + found.optimizer + activations + logits
    # Weights and averages are copied when a checkpoint is written, and the copies leave holes as well.
    holes = found.gradients + found.optimizer + _heap_holes(shape, room, load, activations, quantized=method.quantizes_base)
    # Weights that are used as they are stored lie in the file itself.
    file = 0 if not method.quantizes_base and item == STORED_ITEM else STORED_ITEM * shape.parameters
    return msgspec.structs.replace(found, overhead=max(holes, file - later))


def optimizer_bytes(trained: int, room: Room) -> int:
    """The two averages that AdamW keeps of every trained number; on a GPU one byte each with a scale for 256 of them."""
    return 8 * trained if room.kind == "cpu" else int(2.04 * trained)


def recomputed_blocks(blocks: int, every: int) -> int:
    """How many of the blocks recompute when every ``every``-th does, the first among them; 0 for none."""
    return -(-blocks // every) if every else 0


def kept_per_token(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room) -> int:
    """Bytes that one block keeps of one token for its backward pass, when it recomputes nothing."""
    method, item = METHODS[recipe.method], room.item
    # Inputs of the two norms, in float32 whatever the arithmetic; query, key, value and result of attention; gate, its silu, up.
    kept = 2 * shape.hidden * 4 + (2 * shape.query + 2 * shape.key + 3 * shape.inner) * item
    if method.low_rank:
        targets = family.linear_set(recipe.targets)
        kept += _inputs_of_adapters(shape, targets, recipe, room) + len(targets) * recipe.rank * item
        if recipe.method == "dora":
            kept += sum(shape.linear[name][0] for name in targets) * item
    elif method.whole_model:
        kept += (2 * shape.hidden + shape.query + shape.inner) * item
    elif recipe.method == "ia3":
        kept += (2 * shape.key + shape.inner) * item
    return kept


def _inputs_of_adapters(shape: BaseShape, targets: tuple[str, ...], recipe: TrainingRecipe, room: Room) -> int:
    """Bytes of the inputs that the adapters' first halves keep of one token, and of the masks of dropout."""
    columns = sum(shape.linear[name][1] for name in targets)
    masks = 0
    if recipe.dropout and recipe.method == "dora":
        # Every layer drops on its own. The CPU keeps the mask as numbers, a GPU as bytes.
        return columns * (2 * room.item if room.kind == "cpu" else room.item + 1)
    if recipe.dropout:
        masks = columns * (2 if room.kind == "cpu" else 1)  # ``stages/train/methods/fused_linear.py``
    # Layers that read the same input share it: q, k and v; gate and up.
    readers = {"q_proj": "attention", "k_proj": "attention", "v_proj": "attention", "gate_proj": "mlp", "up_proj": "mlp"}
    return sum({readers.get(name, name): shape.linear[name][1] for name in targets}.values()) * room.item + masks


def _activations(shape: BaseShape, family: Family, recipe: TrainingRecipe, room: Room, load: Load, recomputed: int) -> int:
    tokens = load.tokens + (recipe.virtual_tokens if METHODS[recipe.method].in_prompt else 0)
    whole = kept_per_token(shape, family, recipe, room) * tokens
    entry = shape.hidden * room.item * tokens
    at_work = whole if recomputed else 0
    # The gradients of the widest values of a block, and the widest weight as it was before NF4.
    gradients = 3 * shape.inner * room.item * tokens
    weight = max(rows * columns for rows, columns in shape.linear.values()) * room.item
    return (shape.blocks - recomputed) * whole + recomputed * entry + at_work + gradients + weight + 3 * entry


def _logits(shape: BaseShape, recipe: TrainingRecipe, room: Room, load: Load) -> int:
    """Logits, their logarithms and their gradients in float32; as they came, in bfloat16 arithmetic, they are gone by then.

    A validation has no gradients, but twice as many tokens at once; on the CPU it adds to what training has left in the heap. Where an
    adapter trains rows of new tokens, peft puts them into a copy of the head, which has gradients of its own once those of the logits
    are what is left of them (peft 0.21).
    """
    training = min(load.trained, LOGITS_AT_ONCE) * shape.vocabulary * 12
    if shape.new_tokens and METHODS[recipe.method].low_rank:
        copy = shape.vocabulary * shape.hidden * room.item
        training = max(training + copy, training * room.item // 12 + 2 * copy)
    if room.kind != "cpu":
        return training
    at_once = 2 * recipe.micro_batch_size * recipe.max_length * load.trained // max(1, load.tokens)
    return max(training, min(at_once, LOGITS_AT_ONCE) * shape.vocabulary * 8)


def _heap_holes(shape: BaseShape, room: Room, load: Load, activations: int, *, quantized: bool) -> int:
    share = min(1.0, load.tokens * shape.inner * room.item / WASTEFUL_PIECE)
    widest = max(rows * columns for rows, columns in shape.linear.values()) * room.item
    weights = min(1.0, widest / WASTEFUL_WEIGHT) * shape.linear_parameters * room.item if quantized else 0.0
    return int(HEAP_WASTE * share * activations + WEIGHT_WASTE * weights)
