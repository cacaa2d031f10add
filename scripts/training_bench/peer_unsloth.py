"""Unsloth as its notebooks have it, with packing. A GPU is needed. Unsloth is in part under the AGPL: measured here, never shipped."""

from __future__ import annotations

import importlib
import sys
from typing import Any

from scripts.training_bench.settings import ALPHA, DROPOUT, LINEAR, RANK, RATE, SEED, Settings


def main(settings: Settings) -> None:
    """Train."""
    unsloth: Any = importlib.import_module("unsloth")  # before transformers, which it changes
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    from scripts.training_bench.recorder import Recorder, Watch

    recorder = Recorder(settings)
    model, tokenizer = unsloth.FastLanguageModel.from_pretrained(settings.base, max_seq_length=settings.max_length, load_in_4bit=True)
    model = unsloth.FastLanguageModel.get_peft_model(
        model,
        r=RANK,
        lora_alpha=ALPHA,
        lora_dropout=DROPOUT,
        target_modules=list(LINEAR),
        use_gradient_checkpointing="unsloth",
        random_state=SEED,
    )
    arguments = trl.SFTConfig(
        output_dir=f"{settings.work}/out",
        num_train_epochs=1,
        per_device_train_batch_size=1,
        gradient_accumulation_steps=settings.options["packs_of_step"],
        max_length=settings.max_length,
        packing=True,
        learning_rate=RATE,
        optim="paged_adamw_8bit",
        save_strategy="no",
        report_to="none",
        seed=SEED,
    )
    rows = datasets.load_dataset("json", data_files=settings.rows, split="train")
    trainer = trl.SFTTrainer(model=model, processing_class=tokenizer, args=arguments, train_dataset=rows, callbacks=[Watch(recorder)])
    trainer.data_collator = recorder.watched(trainer.data_collator)
    recorder.micro_batches = settings.options["packs_of_step"]
    recorder.facts["arithmetic"] = "bfloat16"
    trainer.train()
    recorder.write()


if __name__ == "__main__":
    main(Settings.from_json(sys.argv[1]))
