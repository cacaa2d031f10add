"""The build itself: one Dockerfile, a complete folder as its context, and no network."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from scripts.container.engine import docker, has_image, require_engine
from scripts.container.shelf import cache, hash_of, sha256
from scripts.container.telling import Refused, call, say
from scripts.container.wheelhouse import identity

RECIPE = "greenwave.recipe"
"""The label that says what an image was made of, so that the same is not built twice."""


def build(folder: Path, base: str, tag: str | None = None, *, anew: bool = False) -> str:
    """Build the image of a wheelhouse folder unless it is there; gives its tag. ``anew`` does every step again."""
    require_engine()
    if not (folder / "SHA256SUMS").is_file():
        raise Refused(f"{folder} is no folder of scripts/image wheels.", "name one that it made, whole.", 2)
    kind, version = ((folder / name).read_text("utf-8").strip() for name in ("kind", "version"))
    tag = tag or f"greenwave:{version}-{kind}"
    recipe = hash_of([sha256(folder / "SHA256SUMS"), identity(base)])
    cache().mkdir(parents=True, exist_ok=True)
    with (cache() / "build.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # who asks for the same image at the same time waits for it
        if anew or not has_image(tag) or recipe_of(tag) != recipe:
            verify(folder)
            run_builder(folder, base, tag, {"recipe": recipe, "version": version}, anew=anew)
    return tag


def run_builder(folder: Path, base: str, tag: str, labels: dict[str, str], *, anew: bool) -> None:
    """Let the engine build, its words on standard error; Refused when it fails."""
    say(f"building {tag} on {base}, without network")
    command = ["docker", "build", "--network=none", "--force-rm", f"--tag={tag}", f"--label={RECIPE}={labels['recipe']}"]
    command += [f"--build-arg=BASE_IMAGE={base}", f"--build-arg=VERSION={labels['version']}"]
    command += [*(["--no-cache"] if anew else []), str(folder)]
    # The classic builder is everywhere; whoever has BuildKit may say so.
    environment = {"DOCKER_BUILDKIT": "0", **os.environ}
    if subprocess.run(command, stdout=sys.stderr, check=False, stdin=subprocess.DEVNULL, env=environment).returncode:
        raise Refused(f"The image {tag} could not be built.", "the builder's own words are above.")


def name_for_everyday(tag: str, folder: Path) -> str:
    """Give an image the short name that README's lines use, ``greenwave`` or ``greenwave:cuda``, as well; gives it."""
    name = "greenwave:cuda" if (folder / "kind").read_text("utf-8").strip() == "cuda" else "greenwave:latest"
    docker(["tag", tag, name], f"{tag} could not be named {name}.")
    return name


def forget(tag: str) -> None:
    """Remove an image."""
    docker(["image", "rm", tag], f"{tag} could not be removed.")


def recipe_of(tag: str) -> str:
    """What an image says that it was made of."""
    command = ["docker", "image", "inspect", "--format", f'{{{{index .Config.Labels "{RECIPE}"}}}}', tag]
    return call(command, f"There is no image {tag}.", "scripts/image build makes one.").strip()


def verify(folder: Path) -> None:
    """Refuse a folder that is not what scripts/image wheels wrote."""
    problem = f"{folder} is damaged or was changed: see the FAILED lines above."
    call(["sh", "-c", 'cd "$1" && sha256sum --quiet --check SHA256SUMS', "sh", folder], problem, "fetch it again: scripts/image wheels.")
