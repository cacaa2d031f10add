"""LLaMA-Factory's supervised fine-tuning as its own command runs it, from a configuration like its examples' ``qlora``."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

from scripts.training_bench.recorder import Recorder, Watch
from scripts.training_bench.settings import ALPHA, DROPOUT, LINEAR, RANK, RATE, SEED, Settings


def main(settings: Settings) -> None:
    """Train."""
    recorder = Recorder(settings)
    rows = Path(settings.rows).with_name("alpaca.json")
    data = Path(settings.work) / "data"
    data.mkdir(parents=True, exist_ok=True)
    (data / "dataset_info.json").write_text(json.dumps({"rows": {"file_name": str(rows)}}), "utf-8")
    arguments = {
        "stage": "sft",
        "do_train": True,
        "model_name_or_path": settings.base,
        "template": "chatml",
        "finetuning_type": "lora",
        "lora_rank": RANK,
        "lora_alpha": ALPHA,
        "lora_dropout": DROPOUT,
        "lora_target": ",".join(LINEAR),
        "quantization_bit": 4,
        "quantization_method": "bnb",
        "dataset": "rows",
        "dataset_dir": str(data),
        "cutoff_len": settings.max_length,
        "output_dir": f"{settings.work}/out",
        "max_steps": settings.steps,
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": settings.step_rows,
        "learning_rate": RATE,
        "disable_shuffling": True,
        "save_strategy": "no",
        "report_to": "none",
        "use_cpu": not settings.gpu,
        "bf16": settings.gpu,
        "seed": SEED,
    }
    recorder.micro_batches = settings.step_rows
    watch_collator(recorder)
    tuner: Any = importlib.import_module("llamafactory.train.tuner")
    tuner.run_exp(arguments, callbacks=[Watch(recorder)])
    recorder.facts["arithmetic"] = "bfloat16" if settings.gpu else "its default"
    recorder.write()


def watch_collator(recorder: Recorder) -> None:
    """Its collator is a class that it makes an object of itself, so the class is what is watched."""
    collator: Any = importlib.import_module("llamafactory.data.collator").SFTDataCollatorWith4DAttentionMask
    collate = collator.__call__

    def watched(self: Any, features: Any) -> Any:
        batch = collate(self, features)
        recorder.saw(batch)
        return batch

    collator.__call__ = watched


if __name__ == "__main__":
    main(Settings.from_json(sys.argv[1]))
