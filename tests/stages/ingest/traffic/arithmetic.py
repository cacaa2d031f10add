"""Reads the arithmetic that an answer writes out, and does it again with fractions."""

from __future__ import annotations

import re
from fractions import Fraction

_TERM = r"\d+(?:\.\d+)?(?: (?:s|m|m/s))?"
_EQUATION = re.compile(rf"({_TERM}(?: [+−×÷] {_TERM})+) = (\d+(?:\.\d+)?)(%?)")
_TRIPLE = re.compile(r"G(\d+(?:\.\d+)?)-Y(\d+(?:\.\d+)?)-R(\d+(?:\.\d+)?)")


def wrong_equations(answer: str) -> list[str]:
    """The equations of an answer that do not hold to the last figure they show."""
    wrong = []
    for left, right, sign in _EQUATION.findall(answer):
        exact = evaluated(left) * (100 if sign else 1)
        shown = Fraction(right)
        # A figure shows as many decimals as it needs, three at most; whole flows and seconds none, so half of the last place is allowed.
        allowed = Fraction(1, 2 * 10 ** len(right.partition(".")[2]))
        if abs(exact - shown) > allowed:
            wrong.append(f"{left} = {right}{sign}, but it is {float(exact)}")
    return wrong


def count_equations(answer: str) -> int:
    """How many equations an answer has."""
    return len(_EQUATION.findall(answer))


def evaluated(expression: str) -> Fraction:
    """Products before sums, from left to right."""
    tokens = re.findall(r"\d+(?:\.\d+)?|[+−×÷]", expression)
    total, term, sign = Fraction(0), Fraction(tokens[0]), 1
    for operator, number in zip(tokens[1::2], tokens[2::2], strict=True):
        if operator == "×":
            term *= Fraction(number)
        elif operator == "÷":
            term /= Fraction(number)
        else:
            total, term, sign = total + sign * term, Fraction(number), 1 if operator == "+" else -1
    return total + sign * term


def lamp_sums(text: str) -> list[Fraction]:
    """What each ``G40-Y3-R37`` of a text adds up to."""
    return [sum(map(Fraction, lamps), Fraction(0)) for lamps in _TRIPLE.findall(text)]


def figures_after(text: str, label: str) -> list[Fraction]:
    """Every number that stands right behind a label."""
    return [Fraction(number) for number in re.findall(rf"{re.escape(label)} ?(\d+(?:\.\d+)?)", text)]
