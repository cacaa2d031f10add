"""Stands in for ``docker`` where only the order of the installer's actions counts: containers, images and a database as a JSON file.

Each version has a schema of its number: starting it migrates the database forward, and it does not start on a newer one. With
``FAKE_DOCKER_KILL=N`` the installer is killed, and everything it has started, at the ``N``-th call that changes something: before the
change, or after it with ``N+``; with ``N!`` everybody hears Ctrl-C instead, as the change is made.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

# Little is imported: it starts a thousand times.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    State = dict[str, Any]

FOLDER = Path(os.environ["FAKE_DOCKER"])
STATE, CALLS = FOLDER / "state.json", FOLDER / "calls"
CHANGING = {"load", "create", "rename", "rm", "start", "stop", "run", "volume"}


def main(words: list[str]) -> int:
    """Do one command; its exit status."""
    with STATE.open(encoding="utf-8") as file:
        state = json.load(file)
    verb = words[0]
    position = 0
    if verb in CHANGING:
        with CALLS.open("a+", encoding="utf-8") as calls:
            calls.write(" ".join(words[:1] + words[-2:]) + "\n")
            calls.seek(0)
            position = len(calls.readlines())
    kill = os.environ.get("FAKE_DOCKER_KILL", "")
    if kill == str(position):
        os.killpg(0, signal.SIGKILL)
    status = getattr(sys.modules[__name__], f"do_{verb}")(state, words[1:])
    with STATE.open("w", encoding="utf-8") as file:
        json.dump(state, file, indent=1)
    if kill == f"{position}+":
        os.killpg(0, signal.SIGKILL)
    if kill == f"{position}!":
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.killpg(0, signal.SIGINT)
    return int(status or 0)


def schema(image: str) -> int:
    """Of version 0.N the number N."""
    return int(image.split(":")[1].split(".")[1])


def value(words: list[str], option: str) -> list[str]:
    """Every value that an option was given."""
    return [words[index + 1] for index, word in enumerate(words) if word == option]


def do_version(state: State, words: list[str]) -> int:
    """Whether the engine answers."""
    if state.get("down"):
        print("Cannot connect to the Docker daemon", file=sys.stderr)
        return 1
    print("28.0.0")
    return 0


def do_info(state: State, words: list[str]) -> None:
    """Where images are kept."""
    print(FOLDER)


def do_load(state: State, words: list[str]) -> None:
    """The archive is the image's name."""
    state["images"].append(sys.stdin.read().strip())


def do_image(state: State, words: list[str]) -> int:
    """``inspect`` and ``rm``."""
    known = words[-1] in state["images"]
    if words[0] == "rm" and known:
        state["images"].remove(words[-1])
    return 0 if known else 1


def do_volume(state: State, words: list[str]) -> None:
    """``create``."""
    state["volumes"] = sorted({*state["volumes"], words[-1]})


def do_create(state: State, words: list[str]) -> int:
    """A container with its labels, user and image."""
    (name,) = value(words, "--name")
    if name in state["containers"] or words[-1] not in state["images"]:
        return 125
    labels = dict(label.split("=", 1) for label in value(words, "--label"))
    state["containers"][name] = {
        "status": "created",
        "image": words[-1],
        "labels": labels,
        "user": value(words, "--user")[0],
        "words": words,
    }
    return 0


def do_container(state: State, words: list[str]) -> int:
    """``inspect`` with the formats that the installer uses."""
    found = state["containers"].get(words[-1])
    if found is None:
        return 1
    shape = value(words, "--format")
    if shape:
        answers = {
            "{{.Config.User}}": found["user"],
            "{{.Image}}": found["image"],
            "{{.Config.Image}}": found["image"],
            "{{.State.Running}}": str(found["status"] == "running").lower(),
        }
        answers |= {f'{{{{index .Config.Labels "{key}"}}}}': text for key, text in found["labels"].items()}
        health = f"{found['status']} healthy"
        print(health if shape[0].startswith("{{.State.Status}}") else answers[shape[0]])
    return 0


def do_rename(state: State, words: list[str]) -> int:
    """A name is only given once."""
    if words[1] in state["containers"] or words[0] not in state["containers"]:
        return 1
    state["containers"][words[1]] = state["containers"].pop(words[0])
    return 0


def do_rm(state: State, words: list[str]) -> None:
    """Remove a container."""
    del state["containers"][words[-1]]


def do_start(state: State, words: list[str]) -> None:
    """Migrate the database and run; end at once where it is newer, or where the image is a bad one."""
    found = state["containers"][words[0]]
    wanted = schema(found["image"])
    if found["image"] not in state["bad"] and state["schema"] <= wanted:
        found["status"] = "running"
    else:
        found["status"] = "exited"
    state["schema"] = max(state["schema"], wanted)


def do_stop(state: State, words: list[str]) -> None:
    """End a container in good order."""
    state["containers"][words[0]]["status"] = "exited"


def do_logs(state: State, words: list[str]) -> None:
    """Its last words, with something in them that a terminal must not get."""
    print("cannot \x1b]0;owned\x07 start")


def do_exec(state: State, words: list[str]) -> None:
    """The data gets its rights."""
    state["rights"] = words[-2:]


def do_run(state: State, words: list[str]) -> int:
    """``database restore`` by the image's version: of the copy that fits, or of the one that is named."""
    image = next(word for word in words if word in state["images"])
    if words[-1] == "--json" and state["schema"] <= schema(image):
        print('{"code": "database_fits"}', file=sys.stderr)
        return 2
    if any(one["status"] == "running" for one in state["containers"].values()):
        print('{"code": "database_in_use"}', file=sys.stderr)
        return 5
    state["schema"] = schema(image)
    print('{"restored": {}, "kept": "/data/greenwave.db.kept-1"}')
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
