"""Pseudonyms are drawn from a keyed hash (HMAC-SHA-256, RFC 2104): without the key nobody can tell what a pseudonym stands for."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

KEY_BYTES = 32
"""Of a key that is made here."""
LEAST_KEY_BYTES = 16
"""Of a key that a person brings."""


class Draw:
    """A source of choices that depends on key, kind and value alone: the same three give the same choices."""

    def __init__(self, key: bytes, kind: str, value: str) -> None:
        digest = hmac.digest(key, f"{kind}\0{value}".encode("utf-8", "surrogatepass"), "sha256")
        self._left = int.from_bytes(digest)

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` − 1. All choices together may need 200 bits."""
        self._left, chosen = divmod(self._left, limit)
        return chosen

    def digits(self, count: int) -> str:
        """So many decimal digits."""
        return f"{self.below(10**count):0{count}d}"

    def among(self, choices: Sequence[str]) -> str:
        """One of the choices."""
        return choices[self.below(len(choices))]

    def letters(self, count: int, alphabet: str) -> str:
        """So many characters of an alphabet."""
        return "".join(self.among(alphabet) for _ in range(count))


def key_id(key: bytes) -> str:
    """What the record keeps of a key: 16 hexadecimal digits that tell keys apart and give nothing away."""
    return hashlib.blake2b(key, digest_size=8, person=b"greenwave-key-id").hexdigest()
