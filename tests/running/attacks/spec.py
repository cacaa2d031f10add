"""What an attack is told, and the table that makes attacks known to a conductor and its workers."""

from __future__ import annotations

from appliance.domain.spec import Spec
from appliance.running.stage_table import STAGES, StageEntry

NAMES = ("plain", "crash", "hang", "flood", "garbage", "refuse", "forget", "eat", "wait", "blame", "heavy")


class AttackSpec(Spec, frozen=True, kw_only=True):
    """Where results go, how long to take, and how much to do."""

    output: str = ""
    seconds: float = 0.0
    amount: int = 0


def make_known() -> None:
    """Add the attacks to the table of stages of this process."""
    for name in NAMES:
        STAGES[name] = StageEntry(f"tests.running.attacks.{name}", AttackSpec, heavy=name == "heavy")
