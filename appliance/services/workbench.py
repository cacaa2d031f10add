"""The workbench: every service over one home and one store."""

from __future__ import annotations

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.home import Home
from appliance.domain.run import Run
from appliance.services.chats import ChatService
from appliance.services.datasets import DatasetService
from appliance.services.descriptions import DescriptionService
from appliance.services.groups import GroupService
from appliance.services.media import MediaService
from appliance.services.models import ModelService
from appliance.services.plans import PlanService
from appliance.services.previews import PreviewService
from appliance.services.redaction import RedactionService
from appliance.services.runs import RunService
from appliance.store.store import Store


class Workbench:
    """What a front end holds; one per thread."""

    def __init__(self, home: Home | None = None) -> None:
        self.home = home or find_home()
        self.store = Store(self.home.root)
        self.runs = RunService(self.store, self.home)
        self.datasets = DatasetService(self.store, self.home, self.runs)
        self.groups = GroupService(self.home, self.datasets)
        self.redaction = RedactionService(self.store, self.home, self.runs, self.datasets)
        self.models = ModelService(self.store, self.home, self.runs, self.datasets, self.redaction)
        self.chats = ChatService(self.store)
        self.plans = PlanService(self.home, self.datasets, self.models)
        self.descriptions = DescriptionService(self.home, self.datasets, self.models)
        self.previews = PreviewService(self.home, self.datasets, self.models)
        self.media = MediaService()
        # A run whose conductor died while nobody watched is recognised before anything else is shown.
        self.lost_runs = self._recognise_lost()

    def close(self) -> None:
        """Give the database back; only who opens many in one process has to."""
        self.store.close()

    def _recognise_lost(self) -> tuple[Run, ...]:
        """Runs without a conductor; none on a full disk, where nothing can be marked and everything can still be looked at."""
        try:
            return self.runs.recognise_lost()
        except ApplianceError as error:
            if error.code != "disk_full":
                raise
            return ()


def find_home() -> Home:
    """Where everything lies; raises ``home_unknown`` for a user without a home folder who has not named another one."""
    try:
        return Home.from_environment()
    except RuntimeError as error:
        raise ApplianceError("home_unknown", ExitCode.USAGE, reason=str(error)) from error
