"""Words of the command line itself: what commands and options do."""

from __future__ import annotations

from appliance.texts.speech import say


def told(code: str) -> str:
    """The help of a command (``datasets import``) or of an option (``option.json``)."""
    return say("help", code)


def label(code: str) -> str:
    """A heading or another short word."""
    return say("labels", code)
