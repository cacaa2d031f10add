"""What a cleaning rule is: a maker that reads the recipe and gives the function that is applied to every row, or None when switched off."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from appliance.domain.conversation import Conversation
from appliance.domain.recipe import CleaningRecipe


class Dropped(msgspec.Struct, frozen=True):
    """The verdict that a row is left out."""

    reason: str
    """A key of the texts' ``problems``."""
    parameters: dict[str, Any] = {}


Apply = Callable[[Conversation, int], Conversation | Dropped]
"""Takes a row and its line in the parent's file; gives the very same object when nothing is to be done, a new row when something was
changed, or the verdict. It must depend on nothing but the rows it has seen before, so that the same input gives the same bytes."""

Make = Callable[[CleaningRecipe], Apply | None]
