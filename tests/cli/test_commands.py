"""The commands as a whole: help, usage errors, recipes, doctor."""

from __future__ import annotations

import importlib
import json
from pathlib import Path

import click
import pytest

from appliance.cli.root import COMMANDS
from tests.cli.conftest import Greenwave


def every_command() -> list[tuple[str, ...]]:
    """Every command and subcommand by its words."""
    found: list[tuple[str, ...]] = []
    for name, module in COMMANDS.items():
        command = importlib.import_module(module).command
        found.append((name,))
        if isinstance(command, click.Group):
            found += [(name, sub) for sub in command.commands]
    return found


@pytest.mark.parametrize("words", every_command(), ids=" ".join)
def test_every_command_explains_itself(greenwave: Greenwave, words: tuple[str, ...]) -> None:
    """``--help`` of every command says something, and every option has its words."""
    shown = greenwave(*words, "--help")
    assert shown.status == 0
    assert "Usage" in shown.out
    command: click.Command = importlib.import_module(COMMANDS[words[0]]).command
    for word in words[1:]:
        assert isinstance(command, click.Group)
        command = command.commands[word]
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
            assert not parameter.help.startswith("option."), parameter.name


def test_every_listing_has_json(greenwave: Greenwave) -> None:
    """An empty home has empty lists, not errors."""
    for noun in ("datasets", "models", "runs"):
        assert greenwave(noun, "list", "--json").json == []


def test_unknown_things_are_named(greenwave: Greenwave) -> None:
    """Every noun that does not exist is a usage error with a hint where to look."""
    attempts = {
        "dataset_unknown": ("datasets", "show", "x"),
        "model_unknown": ("models", "lineage", "x"),
        "run_unknown": ("runs", "cancel", "x"),
        "preset_unknown": ("recipes", "show", "x"),
    }
    for code, words in attempts.items():
        refused = greenwave(*words, "--json")
        assert (refused.status, refused.error["code"]) == (2, code)
        assert refused.error["hint"]


def test_wrong_usage_ends_with_two(greenwave: Greenwave) -> None:
    """An unknown command, an unknown option and a missing one."""
    for words in (["nothing"], ["datasets", "list", "--nothing"], ["train", "--base", "x"]):
        assert greenwave(*words).status == 2


def test_a_recipe_with_three_wrong_fields_reports_all_three(greenwave: Greenwave, tmp_path: Path) -> None:
    """One error with three problems, before anything is started."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text('[training]\nrank = 0\nlearning_rate = "fast"\nepoch = 3\n', "utf-8")
    for words in (["recipes", "check", recipe], ["train", "--base", "b", "--dataset", "d", "--name", "n", "--recipe", recipe]):
        refused = greenwave(*words, "--json")
        assert refused.status == 2
        assert len(refused.error["parameters"]["problems"]) == 3
    recipe.write_text("[training]\nrank = 4\n", "utf-8")
    assert greenwave("recipes", "check", recipe, "--json").json["training"]["rank"] == 4
    recipe.write_text("rank: 4", "utf-8")
    assert greenwave("recipes", "check", recipe, "--json").error["code"] == "recipe_not_toml"


def test_the_recipe_table_lists_every_field(greenwave: Greenwave) -> None:
    """Value, default, range and words of every field, for people and programs."""
    shown = greenwave("recipes", "show", "thorough", "--json").json
    assert {entry["key"]: entry["value"] for entry in shown}["training.rank"] == 32
    assert all(entry["label"] and entry["reason"] for entry in shown)
    assert "training.rank" in greenwave("recipes", "show").out


def test_the_doctor_tells_every_check(greenwave: Greenwave) -> None:
    """Eleven checks with words, real 4-bit arithmetic among them; the exit status says whether the machine is fit."""
    examined = greenwave("doctor", "--json")
    checks = {check["name"]: check for check in examined.json["checks"]}
    assert len(checks) == 11
    assert checks["computation"]["state"] == "ok", checks["computation"]
    assert 0.05 < checks["computation"]["parameters"]["error"] < 0.12
    assert checks["llama"]["state"] == "ok"
    assert all(check["message"] and "{" not in check["message"] for check in checks.values())
    assert examined.status == (0 if examined.json["fit"] else 4)


def test_an_unusable_home_is_named(greenwave: Greenwave, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home that is a file cannot hold a database."""
    (tmp_path / "file").write_text("x")
    monkeypatch.setenv("GREENWAVE_HOME", str(tmp_path / "file"))
    refused = greenwave("datasets", "list", "--json")
    assert (refused.status, refused.error["code"]) == (4, "store_not_writable")


def test_events_of_a_run_come_as_json_lines(greenwave: Greenwave, tmp_path: Path) -> None:
    """``runs watch --jsonl`` prints one event per line and ends with the run."""
    source = tmp_path / "records.jsonl"
    source.write_text('{"instruction": "a", "output": "b"}\n', "utf-8")
    run_id = greenwave("datasets", "import", source, "--name", "x", "--detach", "--json").json["run"]
    told = [json.loads(line) for line in greenwave("runs", "watch", run_id, "--jsonl").out.splitlines()]
    assert told[-1]["event"] == {"type": "finished"}
    assert [one["id"] for one in told] == sorted(one["id"] for one in told)
