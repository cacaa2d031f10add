"""Addresses of devices in a network: IP near a word that says so (versions and clauses look alike), MAC anywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator

from appliance.domain.recipe import RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Find, Text
from appliance.stages.redact.rules.rule import Rule

_IPV4 = re.compile(r"(?<![\d.])(\d{1,3})[ \0]?\.[ \0]?(\d{1,3})[ \0]?\.[ \0]?(\d{1,3})[ \0]?\.[ \0]?(\d{1,3})(?!\d|\.\d)")
_IPV6 = re.compile(r"(?<![0-9A-Za-z:.])(?:[0-9A-Fa-f]{1,4}:){2,7}(?::|(?::?[0-9A-Fa-f]{1,4}){1,6})(?![0-9A-Za-z:])")
_MAC = re.compile(
    r"(?:(?<![0-9A-Za-z:\-])|(?<=MAC)|(?<=[Mm]ac))[0-9A-Fa-f]{2}(?:([:\-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}(?![0-9A-Za-z:\-])"
)
_DOTTED = re.compile(r"[0-9][ \0]?\.[ \0]?[0-9]{1,3}[ \0]?\.")
_PAIRS = re.compile(r"[0-9A-Fa-f][:\-][0-9A-Fa-f]{2}[:\-][0-9A-Fa-f]{2}[:\-]")
_GROUPS = re.compile(r"[0-9A-Fa-f]:[0-9A-Fa-f]{0,4}:")
"""What has to be there for the others to be tried: these begin with a class of characters, which is skipped to at once."""
_TOLD = re.compile(
    r"(?<![A-Za-z])IP|地址|网关|子网|设备|摄像|相机|卡口|服务器|主机|登录|登陆|端口|路由|交换机|电脑|终端|网络|信号机|监控|球机|平台|访问|ping|host|device|camera",
    re.IGNORECASE,
)


def find(text: Text, _recipe: RedactionRecipe) -> Iterator[Find]:
    """Addresses that are not reserved for documentation."""
    folded = text.folded
    if folded.count(".") >= 3 and _DOTTED.search(folded):
        for match in _IPV4.finditer(folded):
            parts = [int(part) for part in match.groups()]
            if max(parts) <= 255 and parts[0] not in (0, *range(240, 256)) and _TOLD.search(text.before(match.start(), 24)):
                yield Find("network", match.start(), match.end(), ".".join(map(str, parts)))
    if (folded.count(":") >= 5 or folded.count("-") >= 5) and _PAIRS.search(folded):
        for match in _MAC.finditer(folded):
            value = match[0].upper().replace("-", ":")
            if not value.startswith("00:00:5E"):
                yield Find("network", match.start(), match.end(), value)
    if folded.count(":") > 3 and _GROUPS.search(folded):
        for match in _IPV6.finditer(folded):
            value = match[0].lower()
            if not value.startswith("2001:db8") and value.count(":") >= 3 and not _MAC.fullmatch(match[0]) and _is_ipv6(value):
                yield Find("network", match.start(), match.end(), value, _TOLD.search(text.before(match.start(), 24)) is not None)


def _is_ipv6(value: str) -> bool:
    return value.count("::") == 1 or (value.count(":") == 7 and "::" not in value)


def replace(value: str, draw: Draw, _recipe: RedactionRecipe) -> str:
    """An address that nobody is given: 240.0.0.0/4 (RFC 1112), 2001:db8::/32 (RFC 3849), or in IANA's block 00-00-5E (RFC 9542)."""
    if value.count(".") == 3:
        return f"240.{draw.below(256)}.{draw.below(256)}.{draw.below(254) + 1}"
    parts = [f"{draw.below(256):02X}" for _ in range(3)]
    if value.count(":") == 5 and len(value) == 17:
        return "00:00:5E:" + ":".join(parts)
    return f"2001:db8::{draw.below(65536):x}:{draw.below(65535) + 1:x}"


RULE = Rule("network", find, replace)
