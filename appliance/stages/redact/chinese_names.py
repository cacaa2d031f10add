"""What Chinese personal names are made of: surnames, characters of given names, and words that only look like names.

Surnames are the commonest of the Ministry of Public Security's yearly statistics, with the compound ones of the Hundred Family Surnames.
Characters of given names are the usual ones of the last five generations. The lists are files of their own in ``words/``.
"""

from __future__ import annotations

from pathlib import Path

_WORDS = Path(__file__).parent / "words"


def words_of(name: str) -> tuple[str, ...]:
    """The words of a list, in its order."""
    return tuple((_WORDS / f"{name}.txt").read_text("utf-8").split())


def characters_of(name: str) -> frozenset[str]:
    """The characters of a list."""
    return frozenset("".join(words_of(name)))


SURNAMES = characters_of("surnames")
"""Of one character."""
COMPOUND_SURNAMES = frozenset(words_of("compound_surnames"))
GIVEN = characters_of("given_names")
"""Characters that are usual in given names."""
NOT_IN_NAMES = characters_of("not_in_names") - GIVEN
"""Characters that hardly ever are in a given name; any other may be."""
BEHIND_NAMES = characters_of("behind_names")
"""Characters that end a name where they follow one."""
WORDS_BEHIND = frozenset(words_of("words_behind_names"))
"""Words of two characters that end a name where they follow one."""
LIKE_NAMES = frozenset(words_of("like_names"))
"""Words that begin with a character which is a surname, too."""
ROLES = words_of("roles")
"""Words that say what somebody is."""


def surname_of(text: str) -> int:
    """Characters of the surname that a text begins with; 0 for none."""
    if text[:2] in COMPOUND_SURNAMES:
        return 2
    return 1 if text[:1] in SURNAMES else 0
