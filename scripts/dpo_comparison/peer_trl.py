"""TRL's figures, by its ``DPOTrainer``'s own reading of the rows, collator and loss; runs in TRL's environment, prints JSON."""

from __future__ import annotations

import importlib
import json
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

from peft import LoraConfig

from scripts.dpo_comparison.material import ALPHA, BETAS, PAIRS, RANK, TARGETS, fill_adapter, gradients, make_model, make_tokenizer


def main(result: Path) -> None:
    """Write all figures into a file."""
    with tempfile.TemporaryDirectory() as folder:
        found: dict[str, Any] = {"versions": {name: version(name) for name in ("trl", "torch", "transformers", "peft")}, "betas": {}}
        for beta in BETAS:
            trainer = _trainer(beta, folder)
            found["rows"], found["log_probabilities"] = _rows(trainer), _log_probabilities(trainer)
            found["betas"][str(beta)] = _figures(trainer)
    result.write_text(json.dumps(found), "utf-8")


def _trainer(beta: float, folder: str) -> Any:
    trl: Any = importlib.import_module("trl")
    datasets: Any = importlib.import_module("datasets")
    rows = [
        {
            "prompt": [{"role": "assistant" if place % 2 else "user", "content": text} for place, text in enumerate(turns)],
            "chosen": [{"role": "assistant", "content": better}],
            "rejected": [{"role": "assistant", "content": worse}],
        }
        for turns, better, worse in PAIRS
    ]
    trainer = trl.DPOTrainer(
        make_model(),
        args=trl.DPOConfig(
            output_dir=folder,
            beta=beta,
            loss_type=["sigmoid"],
            max_length=None,
            bf16=False,
            gradient_checkpointing=False,
            use_cpu=True,
            report_to="none",
        ),
        train_dataset=datasets.Dataset.from_list(rows),
        processing_class=make_tokenizer(),
        peft_config=LoraConfig(r=RANK, lora_alpha=ALPHA, lora_dropout=0.0, target_modules=list(TARGETS), task_type="CAUSAL_LM"),
    )
    fill_adapter(trainer.model)
    trainer.model.train()
    return trainer


def _batch(trainer: Any, pairs: list[int]) -> Any:
    return trainer.data_collator([trainer.train_dataset[pair] for pair in pairs])


def _rows(trainer: Any) -> list[Any]:
    """Ids and which of them are trained, better and worse answers in turn."""
    found = []
    for pair in range(len(PAIRS)):
        batch = _batch(trainer, [pair])
        for ids, there, trained in zip(batch["input_ids"], batch["attention_mask"], batch["completion_mask"], strict=True):
            found.append([ids[there == 1].tolist(), trained[there == 1].tolist()])
    return found


def _log_probabilities(trainer: Any) -> dict[str, list[float]]:
    """Of every answer by the model and by its reference, better and worse in turn."""
    model, reference = [], []
    for pair in range(len(PAIRS)):
        batch = _batch(trainer, [pair])
        trainer.compute_loss(trainer.model, batch)
        model += [_last(trainer, "logps/chosen"), _last(trainer, "logps/rejected")]
        reference += [part.item() for part in trainer.compute_ref_log_probs(trainer.model, batch)]
    return {"model": model, "reference": reference}


def _figures(trainer: Any) -> dict[str, Any]:
    """Loss and rewards pair by pair, and of all pairs in one padded batch with its gradients."""
    found: dict[str, Any] = {"loss": [], "reward_chosen": [], "reward_rejected": []}
    for pair in range(len(PAIRS)):
        found["loss"].append(trainer.compute_loss(trainer.model, _batch(trainer, [pair])).item())
        found["reward_chosen"].append(_last(trainer, "rewards/chosen"))
        found["reward_rejected"].append(_last(trainer, "rewards/rejected"))
    trainer.model.zero_grad()
    loss = trainer.compute_loss(trainer.model, _batch(trainer, list(range(len(PAIRS)))))
    loss.backward()
    means = {"mean_loss": loss.item(), "mean_margin": _last(trainer, "rewards/margins"), "accuracy": _last(trainer, "rewards/accuracies")}
    return found | means | {"gradients": gradients(trainer.model)}


def _last(trainer: Any, name: str) -> float:
    return float(trainer._metrics["train"][name][-1])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
