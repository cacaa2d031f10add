"""What can be done about a run from several screens."""

from __future__ import annotations

from typing import TYPE_CHECKING

from appliance.domain.run import Run
from tui.words import t

if TYPE_CHECKING:
    from tui.host import HostApp


def can_be(action: str, run: Run) -> bool:
    """Whether a run in its state can be cancelled or resumed."""
    return run.state in (("queued", "running", "interrupted") if action == "cancel_run" else ("failed", "cancelled", "interrupted"))


def cancel_run(app: HostApp, run: Run) -> None:
    """End a run for good, after a question."""
    if not can_be("cancel_run", run):
        app.notify(t("runs.is_over"), severity="warning")
        return
    from tui.screens.confirm import ConfirmScreen

    def answered(sure: bool | None) -> None:
        if sure:
            app.run_worker(_cancel(app, run.id), group="run-actions")

    app.push_screen(ConfirmScreen(t("runs.cancel_question", name=run.name), t("runs.cancel_consequence"), t("runs.cancel_yes")), answered)


def resume_run(app: HostApp, run: Run) -> None:
    """Go on with a run that did not end well."""
    if not can_be("resume_run", run):
        app.notify(t("runs.nothing_to_resume"), severity="warning")
        return
    app.run_worker(_resume(app, run.id), group="run-actions")


async def _cancel(app: HostApp, run_id: str) -> None:
    if await app.ask(lambda workbench: workbench.runs.cancel(run_id)):
        app.notify(t("runs.cancelling"))


async def _resume(app: HostApp, run_id: str) -> None:
    if await app.ask(lambda workbench: workbench.runs.resume(run_id), slowly=True):
        app.notify(t("runs.resumed"))
