"""What a training can be made of: the bases, datasets and presets that are there, the likeliest first."""

from __future__ import annotations

from appliance.domain.dataset import Dataset
from appliance.domain.presets import PRESETS
from appliance.services.workbench import Workbench
from appliance.texts.speech import human_bytes, say
from tui.widgets.plain import harmless
from tui.words import t


def _bases(workbench: Workbench) -> list[tuple[str, str]]:
    models = [model for model in workbench.models.all() if model.kind in ("base", "merged")]
    return [(model.name, f"{harmless(model.name)}  {t('models.kind_' + model.kind)}  {human_bytes(model.size)}") for model in models]


def _datasets(workbench: Workbench) -> list[tuple[str, str]]:
    datasets = [one for one in workbench.datasets.all() if one.facts.get("side") != "validation"]
    not_passed = {one.id for one in workbench.redaction.not_passed(datasets)}
    newest_first = reversed(datasets)
    ready_first = sorted(newest_first, key=lambda one: one.id in not_passed)
    return [(one.name, _dataset_line(one, one.id not in not_passed)) for one in ready_first]


def _dataset_line(dataset: Dataset, passed: bool) -> str:
    privacy = f"{t('data.privacy')} {t('data.passed' if passed else 'data.not_passed')}"
    return f"{harmless(dataset.name)}  {dataset.counts.get('rows', 0):,} {t('data.rows')}  {privacy}"


def _presets(_workbench: Workbench) -> list[tuple[str, str]]:
    return [(name, f"{t('train.preset_' + name)}  {say('presets', name)}") for name in PRESETS]


OFFERS = {"base": _bases, "dataset": _datasets, "preset": _presets}
"""By step: names to choose from, and a line about each."""
