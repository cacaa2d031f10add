"""``wait``, but counted as heavy."""

from tests.running.attacks.wait import run

__all__ = ["run"]
