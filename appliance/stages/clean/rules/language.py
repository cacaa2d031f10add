"""Rows in another language than the department's: shares of Chinese, Latin and other letters."""

from __future__ import annotations

import re

from appliance.domain.row import Row, texts_of
from appliance.domain.spec import CleanSpec
from appliance.stages.clean.rules.normalise import UNUSUAL
from appliance.stages.clean.rules.rule import Apply, Dropped

_CHINESE = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+")
_LATIN = re.compile("[A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff]+")
_OTHER = re.compile("[^\\W\\d_A-Za-z\u00aa\u00ba\u00c0-\u024f\u1e00-\u1eff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]+")


def make(spec: CleanSpec) -> Apply | None:
    """Drop a row with too few Chinese or English letters, or too many others; a row without letters says nothing about its language."""
    recipe = spec.recipe
    chinese_least, english_least, other_most = recipe.min_chinese_share, recipe.min_english_share, recipe.max_other_share
    if not (chinese_least or english_least or other_most < 1.0):
        return None

    def apply(row: Row) -> Row | Dropped:
        texts = texts_of(row)
        others = sum(_letters(_OTHER, text) for text in texts if UNUSUAL.search(text))
        if not (others or chinese_least or english_least):
            return row
        chinese, latin = (sum(_letters(kind, text) for text in texts) for kind in (_CHINESE, _LATIN))
        letters = max(1, chinese + latin + others)
        for reason, count, outside in (
            ("row_little_chinese", chinese, chinese / letters < chinese_least),
            ("row_little_english", latin, latin / letters < english_least),
            ("row_other_language", others, others / letters > other_most),
        ):
            if outside and chinese + latin + others:
                return Dropped(reason, {"share": round(count / letters, 3)})
        return row

    return apply


def _letters(kind: re.Pattern[str], text: str) -> int:
    return sum(map(len, kind.findall(text)))
