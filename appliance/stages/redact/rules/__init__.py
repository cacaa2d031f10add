"""The rules of privacy: one file and one line each.

Where two find overlapping places, the surer one wins, then the longer, then the earlier here.
"""

from __future__ import annotations

from appliance.stages.redact.rules import (
    account,
    address,
    bank_card,
    email,
    file_number,
    id_number,
    landline,
    mobile,
    name,
    network,
    plate,
    travel_document,
    vin,
)
from appliance.stages.redact.rules.rule import Rule

RULES: tuple[Rule, ...] = (
    id_number.RULE,
    bank_card.RULE,
    mobile.RULE,
    vin.RULE,
    plate.RULE,
    file_number.RULE,
    travel_document.RULE,
    email.RULE,
    account.RULE,
    landline.RULE,
    network.RULE,
    address.RULE,
    name.RULE,
)
"""In the order of their weight."""

RULE_OF = {rule.kind: rule for rule in RULES}
