"""Every rule: what it finds in which spelling, what it leaves alone, and that its pseudonyms are never found again."""

from __future__ import annotations

import pytest

from appliance.domain.document import Document
from appliance.domain.recipe import PRIVATE_KINDS, RedactionRecipe
from appliance.stages.redact.drawing import Draw
from appliance.stages.redact.finding import Anchors, Find, Text
from appliance.stages.redact.redactor import Redactor
from appliance.stages.redact.rules import RULES
from appliance.stages.redact.rules.rule import Rule

RECIPE = RedactionRecipe()
REDACTOR = Redactor(RECIPE, b"a key of the tests", {})

FOUND = {
    "id_number": (
        ("身份证号11010519491231002X。", "11010519491231002X"),
        ("证件：１１０１０５１９４９１２３１００２ｘ", "11010519491231002X"),
        ("110105 19491231 002X", "11010519491231002X"),
        ("ll0105194912310O2X", "11010519491231002X"),
        ("一一零一零五一九四九一二三一零零二X", "11010519491231002X"),
        ("身份证号码：110105491231002", "110105491231002"),
    ),
    "bank_card": (("转入6222021234567890128。", "6222021234567890128"), ("卡号 6222 0212 3456 7890 128", "6222021234567890128")),
    "mobile": (
        ("联系电话13800138000，", "13800138000"),
        ("+86 138-0013-8000", "13800138000"),
        ("一三八零零一三八零零零", "13800138000"),
        ("幺三八洞洞幺三八洞洞洞", "13800138000"),
        ("1 3 8 0 0 1 3 8 0 0 0", "13800138000"),
        ("138\u200b0013\u20618000", "13800138000"),
        ("138<b>0013</b>8000", "13800138000"),
        ("\x1b[31m138\x1b[0m00138000", "13800138000"),
        ("1\u03363\u03368\u033600138000", "13800138000"),
        ("١٣٨٠٠١٣٨٠٠٠", "13800138000"),
        ("13800138000一直打不通", "13800138000"),
    ),
    "vin": (("VIN：LSVAM4187C2184841", "LSVAM4187C2184841"), ("车架号lsvam4187c2184841", "LSVAM4187C2184841")),
    "plate": (
        ("苏A12345小型轿车", "苏A12345"),
        ("沪 A·D12345", "沪AD12345"),
        ("粤Z1234港", "粤Z1234港"),
        ("京A1234警", "京A1234警"),
        ("豫ａ８８Ｂ６６", "豫A88B66"),
        ("苏A一二三四五", "苏A12345"),
    ),
    "file_number": (("档案编号：320100123456。", "320100123456"),),
    "travel_document": (("护照号E12345678，", "E12345678"), ("港澳通行证：C12345678", "C12345678")),
    "landline": (("电话025-83456789", "02583456789"), ("（0571）88886666转8001", "057188886666-8001"), ("座机：83456789", "83456789")),
    "email": (("邮箱zhang.san@example.com。", "zhang.san@example.com"), ("zhangsan [at] 163.com", "zhangsan@163.com")),
    "account": (("QQ：123456789", "123456789"), ("微信号zhang_san88", "zhang_san88")),
    "network": (
        ("摄像机IP为192.168.1.64。", "192.168.1.64"),
        ("MAC 3C-52-82-AA-BB-0C", "3C:52:82:AA:BB:0C"),
        ("设备MACA8-4D-34-90-E6-89", "A8:4D:34:90:E6:89"),
    ),
    "address": (
        ("家住江苏省南京市鼓楼区中山北路88号阳光花园3栋2单元501室。", "江苏省南京市鼓楼区中山北路88号阳光花园3栋2单元501室"),
        ("住址：梅山镇柳河村3组12号，", "梅山镇柳河村3组12号"),
    ),
    "name": (
        ("报警人张伟称", "张伟"),
        ("当事人：欧阳修文，", "欧阳修文"),
        ("驾驶人王 芳未系安全带", "王芳"),
        ("李建国（男，35岁）", "李建国"),
        ("乘客阿不都·热合曼受伤", "阿不都·热合曼"),
    ),
}
"""Kind → (text, value)."""

LEFT_ALONE = (
    "警情编号32010020230115000123已归档。", "订单号13812345678901已发货。", "沿G4211行驶至K123+500处。",
    "根据道路交通安全法第四十七条的规定。", "2023-01-15 08:30:12 至 2023-01-16 09:00:00", "罚款200元，记6分。",
    "驾驶人应当遵守规定，当事人经过路口时向左转弯。", "请拨打122或12123。", "软件版本3.11.2.0已安装。",
    "在中山路12号门前发生两车追尾。", "相位一28秒，相位二35秒，周期90秒。", "型号DS-2CD3T46WD-I5。", "客服热线400-820-8820",
    "当事人张某与李某某协商。", "经度118.7812345，纬度32.0412345", "报警人称其车辆被撞。", "民警到达现场后设置警示标志。",
    "使用A4纸打印", "伤者被送往医院住院治疗。",
)  # fmt: skip


def finds(text: str) -> list[tuple[str, str]]:
    """Kinds and values in a text."""
    return [(find.kind, find.value) for _, find in REDACTOR.finds(Document(text))]


@pytest.mark.parametrize(("kind", "text", "value"), [(kind, *case) for kind, cases in FOUND.items() for case in cases])
def test_what_is_personal_is_found(kind: str, text: str, value: str) -> None:
    """Each spelling gives the same value, once."""
    assert finds(text) == [(kind, value)]


@pytest.mark.parametrize("text", LEFT_ALONE)
def test_what_is_not_personal_is_left_alone(text: str) -> None:
    """Case numbers, times, amounts, roads, articles, versions and model names stay."""
    assert finds(text) == []


def test_every_kind_has_a_rule_and_examples() -> None:
    """The recipe's kinds are the rules' and the tests'."""
    assert {rule.kind for rule in RULES} == set(PRIVATE_KINDS) == set(FOUND)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.kind)
def test_pseudonyms_are_not_found_again(rule: Rule) -> None:
    """No rule finds anything in a pseudonym, alone or where the value stood; the same key and value give the same one, others another."""
    anchors = Anchors(each.anchors for each in RULES)
    drawn = set()
    for _, value in FOUND[rule.kind]:
        for key in range(40):
            pseudonym = rule.replace(value, Draw(b"%d" % key, rule.kind, value), RECIPE)
            drawn.add(pseudonym)
            assert pseudonym == rule.replace(value, Draw(b"%d" % key, rule.kind, value), RECIPE)
            assert not _sure_finds(pseudonym, anchors), pseudonym
            assert pseudonym != value
    assert len(drawn) > 20
    for text, _ in FOUND[rule.kind]:
        redacted, _ = REDACTOR.redact(Document(text))
        assert isinstance(redacted, Document)
        assert finds(redacted.text) == [], redacted.text


def _sure_finds(text: str, anchors: Anchors) -> list[Find]:
    read = Text(text, anchors)
    return [find for rule in RULES for find in rule.find(read, RECIPE)]
