"""A training's plan in words and bars."""

from __future__ import annotations

from collections.abc import Iterator

from appliance.domain.methods import METHODS
from appliance.domain.plan import TrainingPlan
from appliance.texts.speech import human_bytes, human_duration
from tui.widgets.states import bar
from tui.words import t

BAR_WIDTH = 24


def plan_lines(plan: TrainingPlan) -> Iterator[str]:
    """What it takes against what is there, then the rows' lengths, then the methods side by side."""
    rows = plan.rows
    yield t("train.fits") if plan.fits else t("train.too_big")
    taken = bar(plan.memory.total / max(1, plan.room.free), BAR_WIDTH)
    yield _line("memory", f"{taken} {t('train.of_free', needed=plan.memory.total, free=plan.room.free, device=plan.room.name)}")
    if plan.nearest:
        yield _line("memory", t("train.nearest", changes=", ".join(f"{key}={value}" for key, value in plan.nearest.items())))
    yield _line("disk", t("train.disk_told", checkpoints=plan.checkpoint_bytes, result=plan.result_bytes))
    yield _line("rows", t("train.rows_told", rows=rows.rows, tokens=rows.tokens, too_long=rows.too_long, untrained=rows.untrained))
    yield _line("steps", t("train.steps_told", steps=rows.steps, tokens=rows.tokens_per_step))
    yield _line("trained", t("train.trained_told", count=plan.trained, share=plan.share))
    if plan.seconds and plan.tokens_per_second:
        yield _line("time", t("train.time_told", seconds=plan.seconds, speed=plan.tokens_per_second))
    else:
        yield _line("time", t("train.time_unknown"))
    yield ""
    yield t("train.lengths")
    most = max((count for _, count in rows.histogram), default=1)
    for length, count in rows.histogram:
        if count:
            yield f"  ≤ {length:>6,} {bar(count / most, BAR_WIDTH)} {count:,}"
    yield ""
    yield t("train.methods")
    for cost in plan.methods:
        time = human_duration(cost.seconds) if cost.seconds else "–"
        yield f"  {'✔' if cost.fits else '✘'} {METHODS[cost.method].title:<18} {human_bytes(cost.memory):>9}  {cost.share:>7.2%}  {time}"


def _line(name: str, told: str) -> str:
    return f"{t(f'train.{name}')}: {told}"
