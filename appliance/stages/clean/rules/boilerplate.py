"""The furniture of pages and advertisement: lines that say nothing of the matter, such as 扫码关注 or All rights reserved.

Only whole lines go, only those that begin like such a line, and never one that asks something.
"""

from __future__ import annotations

import re

from appliance.domain.row import Row
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.rule import Apply, Dropped, with_texts

_BEGINNINGS = (
    r"(?:责任编辑|责编|本文编辑|美编)[：:]",
    r"(?:本文|文章|图文)(?:来源|转自|转载自)",
    r"转载(?:请|须)(?:注明|联系)",
    r"未经.{0,8}(?:授权|许可|同意).{0,12}(?:不得|禁止|严禁)",
    r"(?:版权所有|版权声明|免责声明)(?:$|[：:©(（\s])",
    r"(?:更多|了解更多|获取更多).{0,16}(?:扫码|扫描|关注|点击|下载)",
    r"(?:长按|扫一扫|扫码|扫描).{0,12}(?:二维码|关注|下载|加入|识别)",
    r"(?:点击|戳|请点).{0,12}(?:关注我们|阅读原文|查看更多|下载APP|蓝字|在看)",
    r"(?:欢迎|敬请|记得)?关注.{0,12}(?:公众号|微信号|视频号|抖音号)",
    r"(?:阅读原文|分享到|返回顶部|返回首页|查看全部|相关阅读|推荐阅读|猜你喜欢|广告|赞助内容)[：:]?\s*$",
    r"(?:上一篇|下一篇)[：:]",
    r".{0,2}ICP[备证]\s*\d+号",
    r"(?i:copyright\s*(?:©|\(c\)|\d{4})|©\s*\d{4}|all rights reserved)",
    r"(?i:click here to|subscribe (?:now|to our)|sign up for our|follow us on|share this (?:article|post)|read more\s*$|advertisement\s*$)",
)
_FURNITURE = re.compile(rf"[ \t]*(?:{'|'.join(_BEGINNINGS)}).{{0,120}}(?<![?？])$")


def without_furniture(text: str) -> str:
    """The text without such lines; applied twice it gives the same again."""
    if "\n" not in text:
        return "" if _FURNITURE.match(text) else text
    lines = text.split("\n")
    kept = [line for line in lines if not _FURNITURE.match(line)]
    return text if len(kept) == len(lines) else "\n".join(kept).strip()


def make(spec: CleanSpec) -> Apply | None:
    """Take such lines out of every turn; a row with a turn that is nothing else is dropped."""
    return _apply if spec.recipe.boilerplate else None


def _apply(row: Row) -> Row | Dropped:
    return with_texts(row, without_furniture, "row_only_boilerplate")
