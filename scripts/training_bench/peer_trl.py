"""TRL's ``SFTTrainer`` on rows of prompt and completion, the model by its path, everything else as ``options`` say.

``options``: ``tuned`` holds arguments of ``SFTConfig``; without any it is TRL as it comes, but for the length of rows and the numbers
that all arms share (steps, rows of a step, rate). ``packs_of_step``, where TRL packs: how many hold about as many tokens as a step's rows.
"""

from __future__ import annotations

import importlib
import sys
from typing import Any

import torch
from transformers import BitsAndBytesConfig

from scripts.training_bench.peer_plain import lora_config
from scripts.training_bench.recorder import Recorder, Watch
from scripts.training_bench.settings import RATE, SEED, Settings


def main(settings: Settings) -> None:
    """Train."""
    recorder = Recorder(settings)
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    rows = datasets.load_dataset("json", data_files=settings.rows, split="train", cache_dir=f"{settings.work}/datasets")
    tuned = dict(settings.options.get("tuned", {}))
    packs = settings.options.get("packs_of_step", 0)
    loading = {"device_map": {"": "cuda:0"}} if settings.gpu else {}
    loading |= tuned.pop("model_init_kwargs", {})
    arguments = trl.SFTConfig(
        **{
            "output_dir": f"{settings.work}/out",
            "max_steps": -1 if packs else settings.steps,
            "num_train_epochs": 1,
            "gradient_accumulation_steps": packs or settings.step_rows // tuned.get("per_device_train_batch_size", 8),
            "max_length": settings.max_length,
            "learning_rate": RATE,
            "train_sampling_strategy": "sequential",
            "save_strategy": "no",
            "report_to": "none",
            "use_cpu": not settings.gpu,
            "seed": SEED,
            "model_init_kwargs": loading,
            **tuned,
        }
    )
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=torch.bfloat16
    )
    trainer = trl.SFTTrainer(
        settings.base,
        args=arguments,
        train_dataset=rows,
        quantization_config=nf4,
        peft_config=lora_config(),
        callbacks=[Watch(recorder)],
    )
    trainer.data_collator = recorder.watched(trainer.data_collator)
    recorder.micro_batches = arguments.gradient_accumulation_steps
    recorder.facts["arithmetic"] = "bfloat16" if arguments.bf16 else "float32"
    trainer.train()
    recorder.write()


if __name__ == "__main__":
    main(Settings.from_json(sys.argv[1]))
