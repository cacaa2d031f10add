"""The cleaning rules: one file and one line each, applied to every row in this order."""

from __future__ import annotations

from appliance.stages.clean.rules import exact_duplicates, length, normalise
from appliance.stages.clean.rules.rule import Make

RULES: tuple[tuple[str, Make], ...] = (
    ("normalise", normalise.make),
    ("length", length.make),
    ("exact_duplicates", exact_duplicates.make),
)
"""Name in the report → maker. Normalising comes first, so that rows that differ in width or white space alone are duplicates."""
