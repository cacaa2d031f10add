"""What `greenwave demo` works on: a small teaching base model, sample records of an invented city, and their exam.

All of it is made by `scripts/make-teaching-base`; `base/README.md` is the model card. Knows paths only.
"""

from pathlib import Path

_FOLDER = Path(__file__).parent


def base_folder() -> Path:
    """The teaching base: a Qwen2 model with tokenizer and chat template, laid out like a downloaded base model."""
    return _FOLDER / "base"


def records_file() -> Path:
    """The sample records: Alpaca rows as JSON lines, with some dirty rows among them."""
    return _FOLDER / "records.jsonl"


def exam_file() -> Path:
    """The held-out exam on the facts of the records: JSON lines of id, question, required and forbidden keywords."""
    return _FOLDER / "exam.jsonl"


def recipe_file() -> Path:
    """The recipe of the demonstration: a small model learns quickly with a large step."""
    return _FOLDER / "recipe.toml"
