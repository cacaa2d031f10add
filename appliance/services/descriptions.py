"""Descriptions of datasets: computed once by a worker and kept beside the dataset, so that looking again takes no time."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec

from appliance.domain.dataset import Dataset
from appliance.domain.description import VERSION, Description
from appliance.domain.errors import ApplianceError
from appliance.domain.event import Event
from appliance.domain.home import Home
from appliance.domain.spec import DescribeSpec
from appliance.files.checksum import file_sha256
from appliance.running.direct import stage_events
from appliance.services.datasets import DatasetService, rows_file
from appliance.services.models import ModelService

_FOLDER = "descriptions"
_CHARACTERS = "characters"
_PATIENCE = 600.0
"""Seconds without any sign of the worker; it tells of its progress all the time."""
_DECISIVE = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")
"""Files of a base that decide which tokens a row becomes."""


class DescriptionService:
    """What front ends ask about whole datasets."""

    def __init__(self, home: Home, datasets: DatasetService, models: ModelService) -> None:
        self._home = home
        self._datasets = datasets
        self._models = models

    def kept(self, key: str, base: str | None = None) -> Description | None:
        """The description that was made before, if one was."""
        return _read(self._place(self._datasets.get(key), *self._folders(base)))

    def describe(self, key: str, base: str | None = None, tell: Callable[[Event], None] = lambda _event: None) -> Description:
        """What a dataset looks like, in tokens of ``base`` or else in characters; ``tell`` hears the worker's progress.

        Raises ``rows_missing``, ``rows_damaged``, ``rows_empty``, ``model_kind_unfit`` and what a tokenizer may raise.
        """
        dataset = self._datasets.get(key)
        folder, adapter = self._folders(base)
        place = self._place(dataset, folder, adapter)
        if (known := _read(place)) is not None:
            return known
        spec = DescribeSpec(
            rows=str(rows_file(dataset)),
            output=str(place),
            base=str(folder) if folder else "",
            adapter=str(adapter) if adapter else "",
        )
        for event in stage_events("describe", spec, _PATIENCE):
            tell(event)
        try:
            self._datasets.get(dataset.id)
        except ApplianceError:
            # Removed while it was read: nothing of it shall be left.
            shutil.rmtree(self._home.artefact("dataset", dataset.id), ignore_errors=True)
            raise
        return msgspec.json.decode(place.read_bytes(), type=Description)

    def _folders(self, base: str | None) -> tuple[Path | None, Path | None]:
        return self._models.tokenizer_of(base) if base else (None, None)

    def _place(self, dataset: Dataset, folder: Path | None, adapter: Path | None) -> Path:
        """Beside the rows, so that it goes when they go."""
        name = _CHARACTERS if folder is None else _tokenizer_key(folder, adapter)
        return self._home.artefact("dataset", dataset.id) / _FOLDER / f"{name}.json"


def _tokenizer_key(folder: Path, adapter: Path | None) -> str:
    """A hash of all files that decide the tokens."""
    digest = hashlib.sha256()
    for place in (folder, adapter):
        for name in _DECISIVE if place is not None else ():
            assert place is not None
            digest.update(f"{name} {file_sha256(place / name) if (place / name).is_file() else '-'}\n".encode())
    return digest.hexdigest()[:32]


def _read(place: Path) -> Description | None:
    try:
        found = msgspec.json.decode(place.read_bytes(), type=Description)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return found if found.version == VERSION else None
