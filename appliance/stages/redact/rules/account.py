"""Names of accounts, WeChat and QQ above all, where a word says so."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule

_GAP = r"(?:号码|账号|帐号|号|名|ID|id|群)?[^\w\n，。；@]{0,4}(?:是|为)?[^\w\n，。；@]{0,2}"
_QQ_WORDS = ("QQ", "qq", "Qq", "扣扣", "企鹅号")
_SERVICES = (
    "微信", "VX", "vx", "Vx", "wx", "WX", "WeChat", "wechat", "Wechat", "威信", "薇信", "抖音", "支付宝", "快手", "微博", "钉钉", "陌陌",
)  # fmt: skip
_QQ = re.compile(rf"{_GAP}([1-9](?:[ \-\0]?\d){{4,10}})(?!\d)")
_NAMED = re.compile(
    rf"{_GAP}"
    r"([A-Za-z](?:[\0]?[A-Za-z0-9_\-]){4,29})(?![A-Za-z0-9_\-])"
)
_WORDS = re.compile(r"(?:[A-Z]?[a-z]+|[A-Z]+)\Z")
"""Letters alone, as product names are."""


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """The account behind the service's name."""
    for match in _behind(text, "account_qq", _QQ):
        yield Find("account", match.start(1), match.end(1), "".join(filter(str.isdigit, match[1])))
    for match in _behind(text, "account_named", _NAMED):
        value = match[1].replace("\0", "").lower()
        if not value.startswith("example_"):
            yield Find("account", match.start(1), match.end(1), value, sure=_WORDS.match(match[1]) is None or "号" in match[0])


def _behind(text: Text, group: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    for start, end in text.places(group):
        before = text.folded[start - 1 : start]
        part_of_word = before.isascii() and before.isalpha() and text.folded[start].isascii()
        match = None if part_of_word else pattern.match(text.folded, end)
        if match:
            yield match


def replace(value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """QQ numbers begin with 00, which none does; others with ``example_``."""
    return "00" + draw.digits(7) if value.isdigit() else f"example_{draw.digits(6)}"


_ANCHORS = {"account_qq": _QQ_WORDS, "account_named": _SERVICES}
RULE = Rule("account", find, replace, _ANCHORS, frozenset(_ANCHORS), shown=(1, 1))
