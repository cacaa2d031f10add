"""Labelled examples from a half's templates: sentences with personal data, spelled as people and machines spell it."""

from __future__ import annotations

import random
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from appliance.stages.redact.rules import id_number, vin
from appliance.stages.redact.rules.bank_card import luhn_fits

HALVES = ("tuning", "tuning_more", "tuning_third", "tuning_fourth", "tuning_fifth", "test")
_GAP = re.compile(r"\{(\w+)\}")
_NUMBERS = ("id", "mobile", "card", "file")
KIND_OF = {
    "id": "id_number", "card": "bank_card", "mobile": "mobile", "landline": "landline", "vin": "vin", "plate": "plate",
    "file": "file_number", "passport": "travel_document", "email": "email", "wechat": "account", "qq": "account", "ip": "network",
    "mac": "network", "name": "name", "address": "address", "name_alone": "name_alone",
}  # fmt: skip
"""Gap of a template → kind; ``name_alone`` is a name without a role beside it, which the rules do not promise to find."""
_LETTERS = "ABCDEFGHJKLMNPRSTUVWXYZ"


@dataclass(frozen=True)
class Label:
    """Personal data in a sentence."""

    kind: str
    start: int
    end: int
    spelling: str


@dataclass(frozen=True)
class Example:
    """A sentence and everything personal in it."""

    text: str
    labels: tuple[Label, ...]
    template: str


def examples(half: str, count: int) -> Iterator[Example]:
    """So many sentences of a half, the same every time; a third of them has nothing personal."""
    source = Source.of(half)
    kinds = [kind for kind in source.told["templates"] if kind != "none"]
    for number in range(count):
        kind = "none" if number % 3 == 2 else kinds[number % len(kinds)]
        yield source.example(kind)


class Source:
    """Draws from one half's lists."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self._chance = random.Random(told["seed"])

    @classmethod
    def of(cls, half: str) -> Source:
        """The lists of a half."""
        return cls(tomllib.loads((Path(__file__).parent / f"{half}.toml").read_text("utf-8")))

    def example(self, kind: str) -> Example:
        """One sentence of a kind."""
        template = self._chance.choice(self.told["templates"][kind])
        text, labels, place = "", [], 0
        for gap in _GAP.finditer(template):
            text += template[place : gap.start()]
            place = gap.end()
            value, spelling = self._filled(gap[1])
            if gap[1] in KIND_OF:
                labels.append(Label(KIND_OF[gap[1]], len(text), len(text) + len(value), spelling))
            text += value
        return Example(text + template[place:], tuple(labels), template)

    def _filled(self, gap: str) -> tuple[str, str]:
        if gap == "name_r":
            return "其", "plain"
        value = getattr(self, f"_{gap}")()
        if gap in _NUMBERS:
            spelling = self._chance.choice(self.told["spellings"])
            return SPELLINGS[spelling](value, self._chance), spelling
        if gap in ("plate", "vin") and self._chance.random() < 0.2:
            return value.translate(_WIDE), "full_width"
        return value, "plain"

    def _digits(self, count: int) -> str:
        return "".join(self._chance.choice("0123456789") for _ in range(count))

    def _id(self) -> str:
        region = self._chance.choice(sorted(id_number.REGIONS - {"91", "83"}))
        born = f"{self._chance.randint(1945, 2006)}{self._chance.randint(1, 12):02d}{self._chance.randint(1, 28):02d}"
        first = f"{region}{self._digits(4)}{born}{self._digits(3)}"
        return first + id_number.check_digit(first)

    def _card(self) -> str:
        first = self._chance.choice(("622202", "621700", "622848", "621226")) + self._digits(self._chance.choice((9, 12)))
        return next(first + last for last in "0123456789" if luhn_fits(first + last))

    def _mobile(self) -> str:
        return "1" + self._chance.choice("356789") + self._digits(9)

    def _landline(self) -> str:
        area, count = self._chance.choice((("025", 8), ("010", 8), ("0571", 8), ("0379", 8), ("0898", 8), ("0477", 7)))
        return f"{area}-{self._chance.choice('35678')}{self._digits(count - 1)}"

    def _file(self) -> str:
        return self._chance.choice(("3201", "5101", "4403", "1100")) + self._digits(8)

    def _passport(self) -> str:
        return self._chance.choice(("E", "G", "EA", "C", "H")) + self._digits(8)

    def _vin(self) -> str:
        maker = "".join(self._chance.choice(_LETTERS) for _ in range(3))
        model = "".join(self._chance.choice(_LETTERS + "0123456789") for _ in range(9))
        number = f"L{maker}{model}{self._digits(4)}"
        return number[:8] + vin.check_digit(number) + number[9:]

    def _plate(self) -> str:
        office = self._chance.choice("京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼") + self._chance.choice("ABCDEFG")
        form = self._chance.random()
        dot = self._chance.choice(("", "", "", "·", " ", "-"))
        if form < 0.2:
            return f"{office}{dot}{self._chance.choice('DF')}{self._digits(5)}"
        if form < 0.3:
            return f"{office}{self._digits(4)}{self._chance.choice('警学挂')}"
        sign = self._digits(5) if form < 0.6 else self._chance.choice(_LETTERS) + self._digits(3) + self._chance.choice(_LETTERS)
        return f"{office}{dot}{sign}"

    def _email(self) -> str:
        local = self._chance.choice(("lihua", "w.chen", "sunny_01", "a-b"))
        return f"{local}{self._digits(3)}@{self._chance.choice(('163.com', 'qq.com', 'mail.example.org'))}"

    def _wechat(self) -> str:
        return self._chance.choice(("wxid_", "hua-", "Sun", "lucky_")) + self._digits(6)

    def _qq(self) -> str:
        return self._chance.choice("123456789") + self._digits(self._chance.choice((6, 8, 9)))

    def _ip(self) -> str:
        chance = self._chance
        network = chance.choice((f"10.{chance.randint(0, 254)}", "192.168", "172.16"))
        return f"{network}.{chance.randint(0, 254)}.{chance.randint(1, 254)}"

    def _mac(self) -> str:
        return self._chance.choice(":-").join(f"{self._chance.randint(16, 255):02X}" for _ in range(6))

    def _name(self) -> str:
        if self._chance.random() < 0.03:
            return str(self._chance.choice(self.told["dotted"]))
        return str(self._chance.choice(self.told["surnames"]) + self._chance.choice(self.told["given"]))

    def _name_alone(self) -> str:
        return self._name()

    def _address(self) -> str:
        return _GAP.sub(lambda gap: str(getattr(self, f"_{gap[1]}")()), self._chance.choice(self.told["houses"]))

    def _city(self) -> str:
        return str(self._chance.choice(self.told["cities"]))

    def _street(self) -> str:
        return str(self._chance.choice(self.told["streets"]))

    _street2 = _street

    def _estate(self) -> str:
        return str(self._chance.choice(self.told["estates"]))

    def _village(self) -> str:
        return str(self._chance.choice(self.told["villages"]))

    def _room(self) -> str:
        return f"{self._chance.randint(1, 32)}{self._chance.randint(1, 6):02d}"

    def _n1(self) -> str:
        return str(self._chance.randint(1, 9))

    def _n2(self) -> str:
        return str(self._chance.randint(10, 99))

    def _n3(self) -> str:
        return str(self._chance.randint(100, 999))

    def _order(self) -> str:
        return self._chance.choice(("13", "20", "78", "15")) + self._digits(self._chance.choice((11, 12, 14)))

    def _order5(self) -> str:
        return str(self._chance.randint(10_000, 99_999))

    def _order7(self) -> str:
        return self._digits(7)

    def _case(self) -> str:
        chance = self._chance
        day = f"{chance.randint(2019, 2026)}{chance.randint(1, 12):02d}{chance.randint(10, 28)}"
        return f"{chance.choice(('3201', '5101', '6201'))}{self._digits(2)}{day}{self._digits(4)}"

    def _amount(self) -> str:
        return f"{self._chance.randint(1, 99)},{self._digits(3)}.{self._digits(2)}"

    def _road(self) -> str:
        return self._chance.choice(("G4211", "G2503", "S305", "G15W3"))

    def _model(self) -> str:
        return self._chance.choice(("DS-2CD3T46WD", "iDS-TCV907", "IPC-HFW4433F", "ITC-352-RU1D"))

    def _time(self) -> str:
        chance = self._chance
        day = f"{chance.randint(2019, 2026)}年{chance.randint(1, 12)}月{chance.randint(1, 28)}日"
        return f"{day}{chance.randint(0, 23)}时{chance.randint(0, 59):02d}分"


_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
_CHINESE = dict(zip("0123456789", "零一二三四五六七八九", strict=True))
_CAPITAL = dict(zip("0123456789", "零壹贰叁肆伍陆柒捌玖", strict=True))
_RADIO = _CHINESE | {"0": "洞", "1": "幺", "7": "拐"}

Spell = Callable[[str, random.Random], str]


def _grouped(separator: str, sizes: tuple[int, ...]) -> Spell:
    def spell(value: str, _chance: random.Random) -> str:
        groups, place = [], 0
        for size in (*sizes, *[4] * 5):
            groups.append(value[place : place + size])
            place += size
        return separator.join(group for group in groups if group)

    return spell


def _confused(table: dict[str, str]) -> Spell:
    def spell(value: str, chance: random.Random) -> str:
        places = [place for place, digit in enumerate(value) if digit in table]
        chosen = set(chance.sample(places, min(2, len(places))))
        return "".join(table[digit] if place in chosen else digit for place, digit in enumerate(value))

    return spell


SPELLINGS: dict[str, Spell] = {
    "plain": lambda value, _chance: value,
    "spaces": _grouped(" ", (3, 4, 4)),
    "dashes": _grouped("-", (3, 4, 4)),
    "dots": _grouped(".", (3, 4, 4)),
    "long_dash": _grouped("—", (3, 4, 4)),
    "four_four": _grouped(" ", (4, 4, 4)),
    "full_width": lambda value, _chance: value.translate(_WIDE),
    "full_width_spaces": lambda value, chance: _grouped("\u3000", (3, 4, 4))(value.translate(_WIDE), chance),
    "chinese": lambda value, _chance: "".join(_CHINESE.get(char, char) for char in value),
    "radio": lambda value, _chance: "".join(_RADIO.get(char, char) for char in value),
    "confused": _confused({"0": "O", "1": "l", "8": "B"}),
    "confused_other": _confused({"0": "o", "1": "I", "5": "S", "2": "Z"}),
    "spread": lambda value, _chance: " ".join(value),
    "middle_dots": _grouped("·", (3, 4, 4)),
    "three_eight": _grouped(" ", (3, 8, 4)),
    "full_width_dashes": lambda value, chance: _grouped("－", (3, 4, 4))(value.translate(_WIDE), chance),
    "capital_chinese": lambda value, _chance: "".join(_CAPITAL.get(char, char) for char in value),
    "confused_third": _confused({"0": "D", "9": "g", "6": "b", "1": "i"}),
    "direction": lambda value, _chance: f"\u202a{value[:5]}\u2060{value[5:]}\u202c",
    "newline": lambda value, _chance: f"{value[:7]}\n{value[7:]}",
    "mixed_script": lambda value, _chance: "".join(char if place % 4 else _CHINESE.get(char, char) for place, char in enumerate(value)),
    "slashless_dots": _grouped("．", (4, 3, 4)),
    "two_groups": _grouped("-", (7, 4, 7)),
    "wide_chinese": lambda value, _chance: " ".join(_CHINESE.get(char, char) for char in value),
    "confused_fourth": _confused({"0": "Q", "1": "|", "8": "B", "2": "z"} | {"1": "l"}),
    "isolate": lambda value, _chance: f"\u2067{value[:3]}\u200c{value[3:]}\u2069",
    "tabs": _grouped("\t", (3, 4, 4)),
    "mathematical": lambda value, _chance: "".join(chr(0x1D7CE + int(char)) if char.isdigit() else char for char in value),
    "half_chinese": lambda value, _chance: "".join(_CHINESE.get(char, char) for char in value[:4]) + value[4:],
    "bullets": _grouped("•", (3, 4, 4)),
    "three_by_three": _grouped(" ", (3, 3, 5)),
    "wide_dots": lambda value, chance: _grouped("．", (3, 4, 4))(value.translate(_WIDE), chance),
    "confused_fifth": _confused({"0": "O", "1": "I", "5": "s", "8": "B", "6": "G"}),
    "joiner": lambda value, _chance: "\u200d".join((value[:6], value[6:])),
    "pairs": _grouped(" ", (3, 2, 2, 2, 2)),
    "sans_serif": lambda value, _chance: "".join(chr(0x1D7E2 + int(char)) if char.isdigit() else char for char in value),
    "end_chinese": lambda value, _chance: value[:-4] + "".join(_CHINESE.get(char, char) for char in value[-4:]),
    "en_dash": _grouped("–", (3, 4, 4)),
    "two_nine": _grouped(" ", (6, 5, 8)),
    "wide_blanks": lambda value, chance: _grouped(" ", (3, 4, 4))(value.translate(_WIDE), chance),
    "confused_sixth": _confused({"0": "o", "1": "l", "8": "B", "5": "S", "2": "z"}),
    "soft_hyphen": lambda value, _chance: "\u00ad".join((value[:7], value[7:])),
    "triples": _grouped(" ", (3, 3, 3, 3)),
    "monospace": lambda value, _chance: "".join(chr(0x1D7F6 + int(char)) if char.isdigit() else char for char in value),
    "start_radio": lambda value, _chance: "".join(_RADIO.get(char, char) for char in value[:5]) + value[5:],
    "hidden": lambda value, _chance: "\u200b".join((value[:4], value[4:9], value[9:])),
}
"""The same number in other shapes. Each half names those it uses."""
