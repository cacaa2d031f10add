"""``greenwave datasets show`` and ``preview --tokens``: what a dataset looks like, and what a model learns from a row."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from click import unstyle

from appliance.cli.previewing import drawn
from appliance.domain.conversation import Conversation, Message
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Produced
from appliance.domain.preview import TokenPart
from appliance.services.workbench import Workbench
from appliance.stages.describe.counting import LengthCounts
from appliance.texts.speech import LANGUAGES
from tests.cli.conftest import Greenwave
from tests.stages.export.tiny_base import make_base

ROWS = [{"instruction": f"{number}号路口限速多少？", "output": f"{number % 9 + 1}0 公里。"} for number in range(30)]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a dataset ``rows`` and a base ``base``, made once."""
    home, source = tmp_path_factory.mktemp("prepared"), tmp_path_factory.mktemp("source") / "rows.jsonl"
    source.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), "utf-8")
    base = make_base(tmp_path_factory.mktemp("bases") / "qwen2", "qwen2")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("GREENWAVE_HOME", str(home))
        workbench = Workbench()
        runs = (workbench.datasets.start_import(source, "rows"), workbench.models.start_import(base, "base"))
        assert [workbench.runs.wait(run.id).state for run in runs] == ["done", "done"]
    return home


@pytest.fixture
def imported(own_home: Path, prepared: Path) -> Path:
    """The prepared home as this test's own; the dataset's folder."""
    shutil.copytree(prepared, own_home, dirs_exist_ok=True)
    return Path(Workbench().datasets.get("rows").path)


def test_show_describes_once(greenwave: Greenwave, imported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything that is known is in ``--json``; a second look, in either measure, starts no worker."""
    first = greenwave("datasets", "show", "rows", "--json").json
    assert first["description"]["measure"] == "characters"
    assert first["description"]["languages"] == {"zh": 30}
    assert first["privacy"] == {"passed": False, "reason": "never"}
    assert {grade["name"] for grade in first["quality"]} == {"rows", "diversity", "format", "length", "language"}
    tokens = greenwave("datasets", "show", "rows", "--base", "base", "--json").json
    assert tokens["description"]["measure"] == "tokens"
    assert 0 < tokens["description"]["trained_tokens"] < tokens["description"]["lengths"]["total"]
    monkeypatch.setattr("appliance.services.descriptions.stage_events", lambda *_: pytest.fail("asked again"))
    assert greenwave("datasets", "show", "rows", "--json").json == first
    assert greenwave("datasets", "show", "rows", "--base", "base", "--json").json == tokens


def test_a_broken_description_is_made_again(greenwave: Greenwave, imported: Path) -> None:
    """What was kept is a cache: damaged or removed it costs a second, and with the dataset it goes."""
    first = greenwave("datasets", "show", "rows", "--json").json
    (kept,) = imported.parent.glob("descriptions/*.json")
    kept.write_bytes(kept.read_bytes()[:50])
    again = greenwave("datasets", "show", "rows", "--json").json
    assert again["description"] | {"seconds": 0} == first["description"] | {"seconds": 0}
    assert greenwave("datasets", "remove", "rows").status == 0
    assert not kept.parent.parent.exists()


def test_a_dataset_that_is_removed_meanwhile_leaves_nothing(imported: Path, own_home: Path) -> None:
    """Whoever describes a dataset while somebody else deletes it is told so, and no folder of it is left."""
    workbench, other = Workbench(), Workbench()

    def remove(event: Event) -> None:
        if isinstance(event, Produced):
            other.datasets.remove("rows")

    with pytest.raises(ApplianceError, match="dataset_unknown"):
        workbench.descriptions.describe("rows", tell=remove)
    assert not list((own_home / "datasets").iterdir())


@pytest.mark.parametrize("language", LANGUAGES)
def test_people_see_bars_and_a_card(greenwave: Greenwave, imported: Path, language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without ``--json`` the same is drawn, in the chosen language, without a gap in a sentence."""
    monkeypatch.setenv("GREENWAVE_LANG", language)
    shown = greenwave("datasets", "show", "rows", "--base", "base")
    assert shown.status == 0, shown.err
    assert "█" in shown.out
    assert ("质量卡" if language == "zh" else "quality card") in shown.out
    assert "{" not in shown.out
    assert ("不能用于训练" if language == "zh" else "nothing may be trained on it: it was never redacted") in shown.out


def test_preview_shows_the_trained_tokens(greenwave: Greenwave, imported: Path) -> None:
    """Signs stand around exactly what is trained; a shorter length marks what it cuts off; colours only on a terminal."""
    (row,) = greenwave("datasets", "preview", "rows", "--base", "base", "--tokens", "--row", 3, "--json").json
    (part,) = row["parts"]
    trained = "".join(text for text, is_trained in zip(part["texts"], part["trained"], strict=True) if is_trained)
    assert trained == "30 公里。<|im_end|>"
    between = unstyle(drawn(msgspec.convert(part, TokenPart), 1024, frozenset())).partition("⟦")[2].partition("⟧")[0]
    assert between.replace("│", "").replace("‥", "") == trained
    longest = part["total"] - 4
    cut = greenwave(
        "datasets", "preview", "rows", "--tokens", "--base", "base", "--row", 3, "--max-length", longest, "--set", "training.long_rows=cut"
    )
    assert f"cut off at {longest}" in cut.out
    assert "Attention" in cut.out
    assert "✂" in cut.out
    assert "\x1b" not in cut.out


def test_preview_says_what_is_missing(greenwave: Greenwave, imported: Path) -> None:
    """No base, a row that is not there, a base that cannot be one, a length beyond all bounds: each has its name."""
    attempts = {
        "tokens_need_base": ("--tokens",),
        "row_unknown": ("--base", "base", "--row", 31),
        "model_unknown": ("--base", "none"),
        "recipe_invalid": ("--base", "base", "--max-length", 3),
    }
    for code, arguments in attempts.items():
        refused = greenwave("datasets", "preview", "rows", *arguments, "--json")
        assert (refused.status, refused.error["code"]) == (2, code), refused.err
    beyond = greenwave("datasets", "preview", "rows", "--base", "base", "--skip", 28, "--rows", 10, "--json")
    assert [row["row"] for row in beyond.json] == [29, 30]


def test_any_row_of_a_long_dataset_is_read_without_the_ones_before(imported: Path) -> None:
    """The services give rows from the end, the middle and the beginning, as the file has them."""
    datasets = Workbench().datasets
    for skip in (29, 14, 0, 30):
        rows = list(datasets.rows("rows", 1, skip))
        assert [row.messages[0] for row in rows if isinstance(row, Conversation)] == [
            Message("user", ROWS[number]["instruction"]) for number in range(skip, min(skip + 1, 30))
        ]


def test_an_empty_count_is_no_error() -> None:
    """Lengths of no rows are all zero."""
    assert LengthCounts().lengths().total == 0
