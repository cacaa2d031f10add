"""The families Greenwave knows: one file each, one line here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from appliance.domain.errors import ApplianceError
from appliance.domain.families.llama import LLAMA
from appliance.domain.families.mistral import MISTRAL
from appliance.domain.families.qwen2 import QWEN2
from appliance.domain.families.qwen3 import QWEN3
from appliance.domain.family import Config, Family

FAMILIES: tuple[Family, ...] = (QWEN2, QWEN3, LLAMA, MISTRAL)


def supported_architectures() -> tuple[str, ...]:
    """Every value of ``config["architectures"]`` that some family answers to."""
    return tuple(name for family in FAMILIES for name in family.architectures)


def family_of(config: Config) -> Family:
    """The family of a base by its config; raises ``family_unknown`` with the architecture's name and the supported ones."""
    named = config.get("architectures")
    architecture = str(named[0]) if isinstance(named, list) and named else ""
    for family in FAMILIES:
        if architecture in family.architectures:
            return family
    raise ApplianceError("family_unknown", architecture=architecture or "?", supported=", ".join(supported_architectures()))


def tensor_problems(family: Family, config: Config, shapes: Mapping[str, tuple[int, ...]]) -> list[dict[str, Any]]:
    """What a base's tensors lack of what its config promises, each as ``{"code", ...}``; empty when all is there."""
    problems: list[dict[str, Any]] = []
    for name, expected in family.tensors(config).items():
        found = shapes.get(name)
        if found is None:
            problems.append({"code": "tensor_missing", "tensor": name})
        elif tuple(found) != expected:
            problems.append({"code": "tensor_shape_differs", "tensor": name, "expected": list(expected), "found": list(found)})
    return problems
