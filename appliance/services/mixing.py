"""Which datasets go together and how much of each, as people write it.

``NAME=SHARE`` is trained beside a dataset's own rows, ``NAME:SHARE`` becomes part of a new dataset.
"""

from __future__ import annotations

import re
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
    require_own_share(shares.values())
    return shares


def require_own_share(shares: Iterable[float]) -> None:
    """Raise ``mix_too_large`` when the shares of all that is mixed in leave too little of the dataset itself."""
    mixed = sum(shares)
    if mixed > LARGEST_SHARE + 1e-9:  # 0.1 + 0.2 + 0.6 is a little more than 0.9
        raise ApplianceError("mix_too_large", ExitCode.USAGE, share=mixed, largest=LARGEST_SHARE)


def parts_of_mix(options: Iterable[str], general: str | None = None, usual: float = USUAL_SHARE) -> dict[str, float]:
    """The share of each dataset of a mix by its name, together 1; ``NAME:SHARE`` or ``NAME=SHARE``.

    Names without a share divide what the others leave; ``general`` has the usual share unless it is named with another. Raises
    ``mix_part_malformed``, ``mix_not_whole`` when shares do not come to 1, and ``mix_without_parts``.
    """
    told: dict[str, float | None] = {}
    for option in options:
        name, *share = re.split(r"[:=]", option, maxsplit=1)
        try:
            number = float(share[0]) if share else None
        except ValueError:
            number = -1.0
        if not name or name in told or not (number is None or 0.0 < number <= 1.0):
            raise ApplianceError("mix_part_malformed", ExitCode.USAGE, option=option[:80])
        told[name] = number
    if not told:
        raise ApplianceError("mix_without_parts", ExitCode.USAGE)
    if general is not None and told.get(general) is None:
        told[general] = usual
    left = 1.0 - sum(share for share in told.values() if share is not None)
    open_names = [name for name, share in told.items() if share is None]
    if not left > 0.0 if open_names else abs(left) > 1e-3:
        raise ApplianceError("mix_not_whole", ExitCode.USAGE, total=1.0 - left)
    shares = {name: left / len(open_names) if share is None else share for name, share in told.items() if share != 0.0}
    return {name: share / sum(shares.values()) for name, share in shares.items()}
