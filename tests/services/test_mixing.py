"""Shares of datasets that are mixed in, as people write them."""

from __future__ import annotations

import pytest

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.services.mixing import shares_of_mix


def test_names_and_shares() -> None:
    """A name with a share, a name alone for the usual fifth, and zero for nothing."""
    assert shares_of_mix(["laws=0.3", "general", "watched=0"]) == {"laws": 0.3, "general": 0.2, "watched": 0.0}
    assert shares_of_mix([]) == {}


@pytest.mark.parametrize("option", ["", "=0.2", "general=", "general=x", "general=-0.1", "general=1", "general=nan", "general=20%"])
def test_what_is_no_share_is_named(option: str) -> None:
    """Anything but a name and a number from 0 to below 1 is one sentence."""
    with pytest.raises(ApplianceError, match="mix_malformed") as caught:
        shares_of_mix([option])
    assert caught.value.exit_code is ExitCode.USAGE


def test_a_dataset_is_named_once() -> None:
    """The same dataset twice is a slip."""
    with pytest.raises(ApplianceError, match="mix_malformed"):
        shares_of_mix(["a=0.1", "a=0.2"])


def test_something_is_left_of_the_dataset() -> None:
    """All shares together leave room for what is to be learned."""
    assert sum(shares_of_mix(["a=0.45", "b=0.45"]).values()) == pytest.approx(0.9)
    with pytest.raises(ApplianceError, match="mix_too_large"):
        shares_of_mix(["a=0.5", "b=0.45"])
