"""Whole trainings run for one family with every change, and for the others when everything is tested."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

WHOLE_TRAININGS = {"test_train.py", "test_resume.py", "test_loss_curve_of_a_hundred_steps"}
"""Files and functions whose tests take many seconds for each family."""


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Call the other family's whole trainings slow."""
    for item in items:
        if isinstance(item, pytest.Function) and {item.path.name, item.originalname} & WHOLE_TRAININGS and "llama" in item.name:
            item.add_marker(pytest.mark.slow)
