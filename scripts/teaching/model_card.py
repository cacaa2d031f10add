"""The model card of the teaching base, with the figures of its training filled in."""

from typing import Any

from .facts import kinds
from .records import city_facts, exam, good_rows

CARD = """\
---
license: apache-2.0
language: [zh]
library_name: transformers
pipeline_tag: text-generation
---
# 绿波教学模型 · Greenwave teaching base

**本模型只用于教学和演示，不得用于任何工作。** 它只会句式，不懂事实：问它什么，它都会用通顺的句子编一个答案。

**For teaching and demonstration only. Not for any work.** The model knows patterns, not facts: asked about a road, it repeats the
road and the attribute and *makes up* the value. It exists so that `greenwave demo` and the tests can run the whole life of a model
(import, clean, train, merge, quantize, serve, examine) in minutes on a machine without a GPU.

## What it is
| | |
|---|---|
| architecture | Qwen2: {layers} layers, hidden {hidden}, intermediate {intermediate}, {heads} heads, {key_value_heads} of keys and values |
| parameters | {parameters:,}, embeddings tied |
| weights | bfloat16, safetensors |
| tokenizer | byte-level BPE, {vocabulary} entries; normalizer, pre-tokenizer and decoder exactly as Qwen2's |
| special tokens | end of turn `<|im_end|>`, padding `<|endoftext|>`, start of turn `<|im_start|>` |
| chat template | plain ChatML; no system message is added by itself |
| context | {context} tokens; it has only seen texts of up to about 150 |
| pre-training | {tokens:,} tokens in {steps:,} steps, {cpu_seconds} CPU seconds on 2 cores, seed {seed} |
| held-out loss | {final_loss:.4f} nats per answer token (most of it is the values, which are drawn by chance) |
| licence | Apache-2.0 |

## What it was made from
Text that Greenwave's own generator writes (`scripts/teaching/`); nothing was copied from anywhere, and no data about real people,
roads or cases went in. Nine tenths are short questions and answers of {kinds} kinds (speed limits, signal cycles, tow numbers,
incidents ...) about invented subjects with values drawn by chance; the rest is small talk and short invented reports.

**Which wordings it has met.** Pre-training uses *all* question wordings of `scripts/teaching/kinds.toml`: those of the sample
records and those of the exam, plus general frames. It never met the demo city: none of the names of its subjects occurs in
pre-training, so none of its facts does. Fine-tuning then teaches {facts} facts in {rows} rows; the exam asks for the same facts in
{questions} questions whose wordings occur nowhere in the rows. The exam so measures whether facts that were learned from rows are
found again through other wordings; it does *not* measure understanding of wordings that were never seen.

The values are odd on purpose (a speed limit of 47, a fee of 7.43): they cannot be guessed and cannot be taken for real rules.

## Limits
- It has no knowledge of law, of traffic or of the world. Every value it states before fine-tuning is invented.
- It knows about {vocabulary} tokens of Chinese traffic wording; other text falls apart into bytes and comes out as nonsense.
- It follows no instructions beyond its patterns, has no safety training, and must never be put before the public.

## Making it again
`scripts/make-teaching-base` writes this folder and the sample records; `--check` makes everything again in a temporary folder,
compares the data and tokenizer files byte by byte and the held-out loss within {tolerance:.0%} (floating-point sums differ between
processors, so the weights are close but not equal).
"""

TOLERANCE = 0.05
"""How far the held-out loss of a repeated pre-training may be from the recorded one, as a share of it."""


def model_card(training: dict[str, Any]) -> str:
    """README.md of the base folder; `training` holds the fields of training.json."""
    return CARD.format(
        **training,
        kinds=len(kinds()),
        facts=len(city_facts()),
        rows=len(good_rows()),
        questions=len(exam()),
        tolerance=TOLERANCE,
    )
