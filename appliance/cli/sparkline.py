"""A curve in one line."""

from __future__ import annotations

_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(values: list[float], width: int = 40) -> str:
    """A curve in one line of blocks, with its first and last value."""
    if not values:
        return ""
    step = max(1, len(values) // width)
    thinned = [sum(values[at : at + step]) / len(values[at : at + step]) for at in range(0, len(values), step)]
    low, high = min(thinned), max(thinned)
    span = (high - low) or 1.0
    blocks = "".join(_BLOCKS[round((value - low) / span * (len(_BLOCKS) - 1))] for value in thinned)
    return f"{values[0]:.2f} {blocks} {values[-1]:.2f}"
