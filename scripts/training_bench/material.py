"""What all arms train: a base with random weights in a published shape, and generated rows whose lengths follow those of real ones.

The tokenizer is Qwen2's kind and made here; the model's vocabulary is as large as Qwen2.5's whatever the tokenizer uses of it. Runs in a
process of its own: ``python -m scripts.training_bench.material SHAPE FOLDER ROWS STEP_ROWS MAX_LENGTH``.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers, trainers
from tokenizers.models import BPE

from appliance.domain.families import family_of
from appliance.domain.recipe import TrainingRecipe
from appliance.stages.language_model.loading import load_tokenizer
from appliance.stages.language_model.tokenized_rows import tokenize_rows
from appliance.stages.train.order import Order
from scripts.teaching.text import END, SPECIAL_TOKENS, TURN_END
from scripts.teaching.tokenizer import CHAT_TEMPLATE, QWEN2_SPLIT
from scripts.training_bench.settings import SEED

LAYOUT = ("hidden_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads", "intermediate_size", "vocab_size")
SHAPES: dict[str, tuple[tuple[int, ...], bool]] = {
    "0.5b": ((896, 24, 14, 2, 4864, 151_936), True),
    "7b": ((3584, 28, 28, 4, 18_944, 152_064), False),
    "slice": ((896, 2, 14, 2, 4864, 12_661), True),
    "tiny": ((256, 3, 4, 2, 512, 4096), True),
}
"""``LAYOUT`` and whether the embedding is the head: Qwen2.5-0.5B and -7B; a slice of the former, two of its 24
blocks and a twelfth of its vocabulary, whose parts cost what they do in the whole; and one to try the benchmark with."""
MEAN_TOKENS, SIGMA, SHORTEST = 300, 0.7, 24
"""The law of lengths of Chinese instruction rows: log-normal."""
SUBJECTS = [
    "路口",
    "信号灯",
    "早高峰",
    "晚高峰",
    "左转车道",
    "直行车道",
    "公交专用道",
    "人行横道",
    "电动自行车",
    "机动车",
    "驾驶人",
    "报警人",
    "事故车辆",
    "货运车辆",
    "校园周边",
    "环岛",
]
ACTS = [
    "需要调整",
    "已经恢复",
    "出现拥堵",
    "禁止停放",
    "应当减速",
    "发生追尾",
    "等待放行",
    "没有受伤",
    "影响通行",
    "建议绕行",
    "正在处理",
    "可以申请",
    "记录在案",
    "接受处罚",
]
WHERE = [
    "在人民路",
    "在解放路",
    "在中山大道",
    "在滨江东路",
    "在学院街",
    "在火车站广场",
    "在环城高速",
    "在体育场南门",
    "在市医院门前",
    "在工业园区",
]
WHEN = ["今天上午", "昨天夜间", "工作日", "节假日", "雨雪天气", "每天七点到九点", "施工期间", "下周一起", "大型活动时", "绿灯亮起后"]


def main(shape: str, folder: Path, rows: int, step_rows: int, max_length: int) -> None:
    """Write what is not there yet: ``base/``, and in ``ROWS-STEP_ROWS-MAX_LENGTH/`` the rows in both forms."""
    base, place = folder / "base", folder / f"{rows}-{step_rows}-{max_length}"
    if not (base / "ready").exists():
        write_base(base, shape)
    if not (place / "ready").exists():
        write_rows(place, base, rows, step_rows, max_length)


def write_base(folder: Path, shape: str) -> None:
    """Random weights in bfloat16, one file a block, so that no more than one is in memory."""
    folder.mkdir(parents=True, exist_ok=True)
    sizes, tied = SHAPES[shape]
    tokenizer = train_tokenizer()
    tokenizer.save(str(folder / "tokenizer.json"))
    words: dict[str, Any] = {"eos_token": TURN_END, "pad_token": END, "chat_template": CHAT_TEMPLATE, "add_bos_token": False}
    _write_json(folder / "tokenizer_config.json", words | {"tokenizer_class": "Qwen2Tokenizer", "model_max_length": 32_768})
    config: dict[str, Any] = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        **dict(zip(LAYOUT, sizes, strict=True)),
        "hidden_act": "silu",
        "max_position_embeddings": 32_768,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1_000_000.0,
        "tie_word_embeddings": tied,
        "torch_dtype": "bfloat16",
        "bos_token_id": None,
        "eos_token_id": tokenizer.token_to_id(TURN_END),
        "pad_token_id": tokenizer.token_to_id(END),
    }
    _write_json(folder / "config.json", config)
    torch.manual_seed(SEED)
    files: dict[str, dict[str, tuple[int, ...]]] = {}
    for name, dimensions in family_of(config).tensors(config).items():
        if not (tied and name == "lm_head.weight"):
            part = name.split(".")[2] if ".layers." in name else "outer"
            files.setdefault(f"model-{part}.safetensors", {})[name] = dimensions
    for file, tensors in files.items():
        values = {name: (torch.randn(size) * 0.02 + ("norm" in name)).to(torch.bfloat16) for name, size in tensors.items()}
        save_file(values, folder / file, metadata={"format": "pt"})
    weight_map = {name: file for file, tensors in files.items() for name in tensors}
    _write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": weight_map})
    (folder / "ready").touch()


def train_tokenizer() -> Tokenizer:
    """Byte-level BPE as Qwen2 has it, its merges from the words of the rows."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(QWEN2_SPLIT), behavior="isolated")
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=1500, show_progress=False, max_token_length=6, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())
    )
    random = np.random.default_rng(SEED)
    tokenizer.train_from_iterator(("".join(sentence(random)) for _ in range(4000)), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return tokenizer


def sentence(random: np.random.Generator) -> Iterator[str]:
    """Words of one sentence."""
    for words in (WHEN, WHERE, SUBJECTS, ACTS):
        yield words[random.integers(len(words))]
    yield f"{random.integers(1000)}号" if random.random() < 0.5 else ""
    yield "，" if random.random() < 0.6 else "。"


def write_rows(place: Path, base: Path, rows: int, step_rows: int, max_length: int) -> None:
    """``rows.jsonl`` for us, ``peers.jsonl`` with the same rows in the order of our steps, and ``alpaca.json`` of the same for those who
    want that form."""
    place.mkdir(parents=True, exist_ok=True)
    tokenizer = Tokenizer.from_file(str(base / "tokenizer.json"))
    random = np.random.default_rng((SEED, rows))
    made = [row(random, tokenizer, max_length) for _ in range(rows)]
    with (place / "rows.jsonl").open("w", encoding="utf-8") as file:
        for question, answer in made:
            messages = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
            file.write(json.dumps({"messages": messages}, ensure_ascii=False) + "\n")
    tokenized = tokenize_rows(place / "rows.jsonl", load_tokenizer(base), max_length, lambda _event: None)
    assert len(tokenized) == rows  # none is too long
    order = Order(tokenized.lengths(), TrainingRecipe(batch_size=step_rows, epochs=1.0, max_length=max_length, seed=SEED))
    drawn = [made[number] for step in range(1, order.total_steps + 1) for pack in order.step(step) for number in sorted(pack)]
    with (place / "peers.jsonl").open("w", encoding="utf-8") as file:
        for question, answer in drawn:
            prompt = f"<|im_start|>user\n{question}{TURN_END}\n<|im_start|>assistant\n"
            file.write(json.dumps({"prompt": prompt, "completion": answer + TURN_END}, ensure_ascii=False) + "\n")
    alpaca = [{"instruction": question, "input": "", "output": answer} for question, answer in drawn]
    _write_json(place / "alpaca.json", alpaca)
    (place / "ready").touch()


def row(random: np.random.Generator, tokenizer: Tokenizer, max_length: int) -> tuple[str, str]:
    """A question and its answer whose tokens together, the template's included, follow the law."""
    wanted = math.exp(random.normal(math.log(MEAN_TOKENS) - SIGMA**2 / 2, SIGMA))
    tokens = int(min(max(wanted, SHORTEST), max_length - 24)) - 9  # what ChatML puts around
    asked = max(5, int(tokens * random.uniform(0.1, 0.5)))
    return text(random, tokenizer, asked), text(random, tokenizer, max(5, tokens - asked))


def text(random: np.random.Generator, tokenizer: Tokenizer, tokens: int) -> str:
    """Sentences, cut to about so many tokens."""
    said = ""
    while True:
        said += "".join(word for _ in range(1 + tokens // 16) for word in sentence(random))
        found = tokenizer.encode(said, add_special_tokens=False)
        if len(found.ids) >= tokens:
            return said[: found.offsets[tokens - 1][1]]


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:6]))
