"""Previews: what a model will learn from a row, told by a process that stays and tokenizes as training does."""

from __future__ import annotations

from typing import Literal

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.domain.preview import TokenPreview, TokenQuestion
from appliance.running.resident import Resident
from appliance.services.datasets import DatasetService, rows_file
from appliance.services.models import ModelService

LOG_FILE = "tokens.log"
MOST_TOKENS = 4096
"""Of one sequence that are shown at once, unless somebody asks for more."""


class PreviewService:
    """What front ends ask about single rows; the answering process starts with the first question and is shared by all of them."""

    def __init__(self, home: Home, datasets: DatasetService, models: ModelService) -> None:
        self._datasets = datasets
        self._models = models
        self._resident = Resident("tokens", home.root / LOG_FILE)

    def start(self) -> None:
        """Start the answering process, so that the first preview comes at once."""
        self._resident.start()

    def close(self) -> None:
        """End the answering process."""
        self._resident.close()

    def tokens(
        self,
        dataset: str,
        row: int,
        base: str,
        max_length: int,
        long_rows: Literal["leave_out", "refuse", "cut"] = "leave_out",
        *,
        first: int = 0,
        count: int = MOST_TOKENS,
    ) -> TokenPreview:
        """The tokens of row number ``row``, counted from 1: ``count`` of them from ``first`` on.

        ``base`` is what would be trained, or an adapter, which may have tokens of its own. Raises ``row_unknown``, ``model_kind_unfit``
        and what tokenizing may raise.
        """
        found = self._datasets.get(dataset)
        folder, adapter = self._models.tokenizer_of(base)
        for begin, line in self._datasets.lines(found, row - 1, 1):
            question = TokenQuestion(
                base=str(folder),
                adapter=str(adapter) if adapter else "",
                rows=str(rows_file(found)),
                begin=begin,
                size=len(line),
                max_length=max_length,
                long_rows=long_rows,
                first=first,
                count=count,
            )
            answered: TokenPreview = self._resident.ask(question)
            return answered
        raise ApplianceError("row_unknown", ExitCode.USAGE, name=found.name, row=row, rows=found.counts.get("rows", 0))
