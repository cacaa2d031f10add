"""GGUF files that somebody has spoilt: each is refused by name, or loaded and asked in a child process; nothing else happens here."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event, Produced
from appliance.domain.recipe import ExportRecipe
from appliance.domain.spec import AdoptSpec, ExportSpec
from appliance.files.gguf_header import read_gguf
from appliance.stages.adopt import run
from appliance.stages.export import run as export
from appliance.texts.speech import catalogue
from tests.stages.export.tiny_base import make_base

MUTATIONS = 120
REFUSALS = {
    "gguf_broken",
    "gguf_not_one",
    "check_crashed",
    "check_load_failed",
    "check_template_unusable",
    "check_not_finite",
    "check_no_answer",
}


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound file."""
    folder = tmp_path_factory.mktemp("sound")
    base = make_base(folder / "base", tie_word_embeddings=True)
    place = folder / "model.gguf"
    export(ExportSpec(base=str(base), output=str(place), name="x", recipe=ExportRecipe(type="q8_0"), check=False), lambda _event: None)
    return place


def adopted(source: Path, place: Path) -> str:
    """``loaded``, or the code of the refusal; a refused file leaves nothing."""
    events: list[Event] = []
    try:
        run(AdoptSpec(source=str(source), output=str(place)), events.append)
    except ApplianceError as error:
        assert not place.exists()
        assert not place.parent.exists() or not list(place.parent.iterdir())
        return error.code
    assert [event for event in events if isinstance(event, Produced)]
    place.unlink()
    return "loaded"


def spoilt(raw: bytes, head: int, draw: random.Random) -> bytes:
    """A file with some bytes changed, cut out, put in, swapped or cut off; three of four times before the data."""
    end = head if draw.random() < 0.75 else len(raw)
    place, length = draw.randrange(end), draw.choice((1, 4, 8, 64))
    match draw.randrange(5):
        case 0:
            return raw[:place] + draw.randbytes(length) + raw[place + length :]
        case 1:
            return raw[:place] + b"\xff" * length + raw[place + length :]
        case 2:
            return raw[:place] + raw[place + length :]
        case 3:
            return raw[:place] + draw.randbytes(length) + raw[place:]
        case _:
            other = draw.randrange(end)
            return raw[:place] + raw[other : other + length] + raw[place + length :]


@pytest.mark.slow
def test_spoilt_files_are_refused_or_loaded_in_a_child(gguf: Path, tmp_path: Path) -> None:
    """Of 120 spoilt files each ends in a refusal that has words, or answers in a child; most are refused before llama.cpp sees them."""
    raw, head, draw = gguf.read_bytes(), read_gguf(gguf).data_start, random.Random(11)
    source, found = tmp_path / "spoilt.gguf", Counter[str]()
    for _ in range(MUTATIONS):
        source.write_bytes(spoilt(raw, head, draw))
        found[adopted(source, tmp_path / "models" / "new.gguf")] += 1
    assert set(found) <= REFUSALS | {"loaded"}, found
    assert all(code in catalogue("zh")["errors"] for code in found if code != "loaded")
    assert found["gguf_broken"] > MUTATIONS // 3
    assert found["loaded"]
