"""Which datasets are trained beside a dataset's own rows, and how much of each: ``NAME=SHARE``, as people write it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from appliance.domain.errors import ApplianceError, ExitCode

USUAL_SHARE = 0.2
"""Of all rows of an epoch, where nobody says another: general rows in this ratio keep what a base could do (replay)."""
LARGEST_SHARE = 0.9
"""Of all mixed rows together; beyond it the dataset itself hardly counts."""


def shares_of_mix(options: Iterable[str]) -> Mapping[str, float]:
    """The share of each dataset by its name; ``NAME`` alone takes the usual share, a share of 0 mixes nothing in.

    Raises ``mix_malformed`` for what is no such option and ``mix_too_large`` when too little is left of the dataset itself.
    """
    shares: dict[str, float] = {}
    for option in options:
        name, equals, told = option.partition("=")
        try:
            share = float(told) if equals else USUAL_SHARE
        except ValueError:
            share = -1.0
        if not name or name in shares or not 0.0 <= share < 1.0:
            raise ApplianceError("mix_malformed", ExitCode.USAGE, option=option[:80])
        shares[name] = share
    if sum(shares.values()) > LARGEST_SHARE:
        raise ApplianceError("mix_too_large", ExitCode.USAGE, share=sum(shares.values()), largest=LARGEST_SHARE)
    return shares
