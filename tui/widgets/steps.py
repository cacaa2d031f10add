"""A run's stages as steps, and the line that says how far the present one is."""

from __future__ import annotations

import time

from appliance.domain.run import StageRecord
from appliance.services.gpu import GpuNow
from appliance.services.progress import StageProgress
from appliance.texts.speech import human_amount, human_bytes, human_duration, say
from tui.widgets.plain import Plain, harmless
from tui.widgets.states import bar, figure, mark_of
from tui.words import t

BAR_WIDTH = 30
_SHOWN_METRICS = ("loss", "validation_loss", "learning_rate", "tokens_per_second")


class Steps(Plain):
    """One line per stage: a sign, its name, its time."""

    def show_stages(self, stages: tuple[StageRecord, ...]) -> None:
        """Show these records."""
        self.show("\n".join(_line(record) for record in stages))


def _line(record: StageRecord) -> str:
    took = ""
    if record.started is not None:
        took = "  " + human_duration((record.ended or time.time()) - record.started)
    return f"{mark_of(record.state)} {say('stages', record.title or record.stage)}{took}"


def progress_line(stage: StageProgress) -> str:
    """Bar, amounts, rate, time left; below it the newest figures."""
    parts = []
    if stage.what:
        parts.append(say("stages", stage.what))
    if stage.share is not None:
        parts.append(f"{bar(stage.share, BAR_WIDTH)} {stage.share:.0%}")
    if stage.total or stage.done:
        parts.append(human_amount(stage.done, stage.total, stage.unit))
    if stage.rate:
        rate = f"{human_bytes(stage.rate)}/s" if stage.unit == "bytes" else f"{stage.rate:,.2g} {say('units', stage.unit)}/s"
        parts.append(rate)
    if stage.seconds_left is not None and stage.done:
        parts.append(f"{t('run.left')} {human_duration(stage.seconds_left)}")
    figures = [f"{say('labels', name)} {figure(name, stage.metrics[name])}" for name in _SHOWN_METRICS if name in stage.metrics]
    return "  ".join(parts) + "\n" + "  ".join(figures)


def gpu_line(gpu: GpuNow) -> str:
    """``GPU  18.2 GB/24.0 GB  71 °C  97 %``."""
    parts = [harmless(gpu.name), f"{human_bytes(gpu.memory_used)}/{human_bytes(gpu.memory_total)}"]
    if gpu.temperature is not None:
        parts.append(f"{gpu.temperature} °C")
    if gpu.utilization is not None:
        parts.append(f"{gpu.utilization} %")
    return "  ".join(parts)
