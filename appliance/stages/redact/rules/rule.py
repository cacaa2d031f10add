"""What a rule of privacy is: a kind, how it is found, and what it is replaced by."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text


class Rule(msgspec.Struct, frozen=True):
    """One kind of personal data.

    ``find`` must take time in proportion to the text, whatever stands in it. ``replace`` makes from a find's value something that has its
    form, cannot exist in the world and is never found again: so a redacted text passes the check, and no pseudonym is anybody's number.
    """

    kind: str
    """A key of the texts' ``kinds``."""
    find: Callable[[Text, RedactionRecipe], Iterable[Find]]
    replace: Callable[[str, Draw, RedactionRecipe], str]
    anchors: Mapping[str, Sequence[str]] = {}
    """Groups of words that ``find`` asks the text for; rules that name the same group name the same words."""
    starts: frozenset[str] = frozenset()
    """Groups of anchors, or of ``numbers_of`` a length, of which a text must have one for ``find`` to be asked; none: it always is."""
    shown: tuple[int, int] = (0, 0)
    """How many characters of an example stay readable at its beginning and end."""
