"""Plain transformers, peft and bitsandbytes as their documentation has it: Trainer, padded batches, labels of -100 on the prompt.

``options``: ``rows`` (of a padded micro-batch), ``arithmetic`` (float32 or bfloat16), ``checkpointing``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, Trainer, TrainingArguments

from scripts.training_bench.recorder import Recorder, Watch
from scripts.training_bench.settings import ALPHA, DROPOUT, LINEAR, RANK, RATE, SEED, Settings


def main(settings: Settings) -> None:
    """Train."""
    recorder = Recorder(settings)
    options = settings.options
    half = options["arithmetic"] == "bfloat16"
    tokenizer = AutoTokenizer.from_pretrained(settings.base)
    model = load_base(settings, torch.bfloat16 if half else torch.float32)
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=options.get("checkpointing", False))
    model = get_peft_model(model, lora_config())
    arguments = TrainingArguments(
        output_dir=settings.work,
        max_steps=settings.steps,
        per_device_train_batch_size=options["rows"],
        gradient_accumulation_steps=settings.step_rows // options["rows"],
        gradient_checkpointing=options.get("checkpointing", False),
        learning_rate=RATE,
        bf16=half,
        train_sampling_strategy="sequential",
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        remove_unused_columns=False,
        use_cpu=not settings.gpu,
        seed=SEED,
    )
    keep_nf4_in_place(model)
    rows = tokenized(Path(settings.rows), tokenizer, settings.steps * settings.step_rows)
    collate = recorder.watched(lambda examples: padded(examples, tokenizer.pad_token_id))
    trainer = Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[Watch(recorder)])
    recorder.micro_batches = arguments.gradient_accumulation_steps
    trainer.train()
    recorder.facts["arithmetic"] = options["arithmetic"]
    recorder.write()


def load_base(settings: Settings, arithmetic: torch.dtype) -> Any:
    """The base in NF4 with double quantization."""
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=arithmetic
    )
    return AutoModelForCausalLM.from_pretrained(
        settings.base, dtype=arithmetic, quantization_config=nf4, device_map={"": "cuda:0" if settings.gpu else "cpu"}
    )


def keep_nf4_in_place(model: Any) -> None:
    """Keep bitsandbytes 0.50.2 from repacking its weights in evaluation: nothing is evaluated here, but nothing shall depend on it."""
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def lora_config() -> LoraConfig:
    """The adapter that all arms train."""
    return LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=DROPOUT, target_modules=list(LINEAR), task_type="CAUSAL_LM")


def tokenized(path: Path, tokenizer: Any, count: int) -> list[dict[str, list[int]]]:
    """The first rows as ids and labels."""
    found = []
    with path.open(encoding="utf-8") as file:
        for line, _ in zip(file, range(count), strict=False):
            row = json.loads(line)
            prompt = tokenizer(row["prompt"], add_special_tokens=False)["input_ids"]
            answer = tokenizer(row["completion"], add_special_tokens=False)["input_ids"]
            found.append({"input_ids": prompt + answer, "labels": [-100] * len(prompt) + answer})
    return found


def padded(examples: list[dict[str, list[int]]], pad: int) -> dict[str, torch.Tensor]:
    """A batch that is padded on the right to its longest row."""
    width = max(len(example["input_ids"]) for example in examples)
    ids = torch.tensor([example["input_ids"] + [pad] * (width - len(example["input_ids"])) for example in examples])
    labels = torch.tensor([example["labels"] + [-100] * (width - len(example["labels"])) for example in examples])
    mask = torch.tensor([[1] * len(example["labels"]) + [0] * (width - len(example["labels"])) for example in examples])
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}


if __name__ == "__main__":
    main(Settings.from_json(sys.argv[1]))
