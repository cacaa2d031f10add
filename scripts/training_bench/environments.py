"""Peers' libraries in environments of their own, below the cache, made once for each recipe; none of them is ever in the appliance's.

TRL works with the very libraries that the appliance uses, so its environment sees ours by a path file and holds only what we lack.
LLaMA-Factory pins older ones of all but torch, which it takes from us, too; its declared needs for pictures and its web page are left
out, for they bring another torch with gigabytes of CUDA. It imports torchaudio, and PyPI's does not load beside a torch without CUDA, so on
a processor it is not measured. Unsloth gets all of its own, torch first.
"""

from __future__ import annotations

import fcntl
import hashlib
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """How an environment is made."""

    name: str
    installs: tuple[tuple[str, ...], ...]
    """What pip is given, one call after the other."""
    sees_ours: bool = False
    needs: str = ""
    """What has to be importable in the end; empty for the name."""
    gpu_only: bool = False


TORCH = ("torch==2.13.0",)
LLAMAFACTORY = (
    "accelerate==1.11.0",
    "datasets==4.0.0",
    "peft==0.18.1",
    "transformers==5.6.0",
    "trl==0.24.0",
    "tyro<0.9",
    "fire",
    "omegaconf",
    "einops",
    "sentencepiece",
    "tiktoken",
    "scipy",
    "protobuf",
    "matplotlib",
    "pandas",
    "pydantic",
    "fastapi",
    "uvicorn",
    "sse-starlette",
    "hf-transfer",
    "modelscope",
)
"""The newest that LLaMA-Factory 0.9.5 allows, and what it imports besides."""
RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe("trl", (("trl==1.16.0",),), sees_ours=True),
        Recipe(
            "llamafactory",
            (("--no-deps", "llamafactory==0.9.5", "torchaudio"), LLAMAFACTORY),
            sees_ours=True,
            needs="llamafactory.train.tuner",
        ),
        Recipe("unsloth", (TORCH, ("unsloth==2026.10.9",)), gpu_only=True),
    )
}


class NotThere(Exception):
    """An environment that could not be made, with the reason in a line."""


def python_of(name: str, cache: Path) -> Path:
    """The Python of an environment, ours for an empty name; made when it is not there yet. Raises ``NotThere``."""
    if not name:
        return Path(sys.executable)
    recipe = RECIPES[name]
    text = f"{recipe} {sys.version} {sys.prefix if recipe.sees_ours else ''} {_ours() if recipe.sees_ours else ''}"
    folder = cache / "environments" / f"{name}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    python = folder / "bin" / "python"
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "refused").exists():
            raise NotThere((folder / "refused").read_text("utf-8"))
        if not (folder / "ready").exists():
            _make(recipe, folder, python)
            (folder / "ready").touch()
    return python


def _make(recipe: Recipe, folder: Path, python: Path) -> None:
    print(f"making the environment of {recipe.name} in {folder} …", file=sys.stderr, flush=True)
    _call([sys.executable, "-m", "venv", "--clear", str(folder)])
    if recipe.sees_ours:
        relative = Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
        (folder / relative / "appliance.pth").write_text(sysconfig.get_path("purelib") + "\n", "utf-8")
    try:
        for packages in recipe.installs:
            _call([str(python), "-m", "pip", "install", "--disable-pip-version-check", "-q", *packages])
        _call([str(python), "-c", f"import {recipe.needs or recipe.name}"])
    except NotThere as reason:
        (folder / "refused").write_text(str(reason), "utf-8")
        raise


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        said = [line for line in (done.stderr or done.stdout).splitlines() if line.strip() and not line.startswith("[notice]")]
        raise NotThere(" ".join(said[-1:])[:300] or f"{command[0]} ended with {done.returncode}")


def _ours() -> str:
    return " ".join(f"{name} {version(name)}" for name in ("torch", "transformers", "peft", "bitsandbytes"))
