"""The software bill of materials of an image, as CycloneDX 1.6 in JSON (https://cyclonedx.org/docs/1.6/json/), from its inventory."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

_EXPRESSION = re.compile(r"^\(?[A-Za-z0-9.+-]+\)?(?: (?:AND|OR|WITH) \(?[A-Za-z0-9.+-]+\)?)*$")
"""Close enough to SPDX to tell an expression from words such as "Apache 2.0 License"."""
_NAME_SPACE = uuid.UUID("6b1c2a52-5f5e-5f0c-9a5c-3d1d6f8a7e10")

Facts = Mapping[str, str]
"""About the image: ``version``, ``variant``, ``image``, ``id``, ``created``."""


def bill(inventory: Mapping[str, Any], facts: Facts, known: Mapping[str, str]) -> dict[str, Any]:
    """The document. ``known`` gives licences of Python packages as SPDX expressions."""
    system = inventory["os"]
    components = [_python(one, known, inventory["wheels"]) for one in inventory["python"]]
    components += [_debian(one, system) for one in inventory["debian"]]
    appliance = f"pkg:generic/greenwave@{facts['version']}?variant={facts['variant']}"
    body: dict[str, Any] = {
        "metadata": {
            "timestamp": facts["created"],
            "lifecycles": [{"phase": "post-build"}],
            "tools": {"components": [{"type": "application", "name": "scripts/bundle", "version": facts["version"]}]},
            "component": {
                "type": "container",
                "bom-ref": appliance,
                "name": "greenwave",
                "version": f"{facts['version']}-{facts['variant']}",
                "purl": f"pkg:docker/greenwave@{facts['version']}-{facts['variant']}",
                "licenses": _licences("Apache-2.0"),
                "properties": [
                    {"name": "greenwave:image", "value": facts["image"]},
                    {"name": "greenwave:image-id", "value": facts["id"]},
                    {"name": "greenwave:system", "value": system.get("PRETTY_NAME", "")},
                ],
            },
        },
        "components": components,
        "dependencies": _dependencies(appliance, components, inventory["python"], inventory["llama_cpp"]),
    }
    if inventory["llama_cpp"]:
        components += _llama_cpp(inventory["llama_cpp"])
    number = uuid.uuid5(_NAME_SPACE, json.dumps(body, sort_keys=True))
    head = {"$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6"}
    return {**head, "serialNumber": f"urn:uuid:{number}", "version": 1, **body}


def licence_of(one: Mapping[str, Any], known: Mapping[str, str]) -> str:
    """The licence of a Python package: its own expression, what we have found out about it, or its own words."""
    words = one["licence"] if len(one["licence"]) <= 60 else ""
    return str(one["expression"] or known.get(one["name"], "") or words or ", ".join(one["classifiers"]))


def notices(text: str) -> dict[str, str]:
    """Licences by package from the table of THIRD-PARTY-NOTICES.md."""
    rows = (re.fullmatch(r"\| (\S+) \| ([^|]+?) \|", line) for line in text.splitlines())
    return {row[1]: row[2] for row in rows if row and row[1] != "package" and not row[1].startswith("-")}


def _python(one: Mapping[str, Any], known: Mapping[str, str], hashes: Mapping[str, str]) -> dict[str, Any]:
    purl = _python_purl(one["name"], one["version"])
    component = {"type": "library", "bom-ref": purl, "name": one["name"], "version": one["version"], "purl": purl}
    component["licenses"] = _licences(licence_of(one, known), are_words=not (one["expression"] or one["name"] in known))
    if digest := hashes.get(f"{one['name']}=={one['version']}"):
        component["hashes"] = [{"alg": "SHA-256", "content": digest}]
    return component | _website(one["homepage"])


def _debian(one: Mapping[str, Any], system: Mapping[str, str]) -> dict[str, Any]:
    place = f"arch={one['architecture']}&distro={system.get('ID', 'debian')}-{system.get('VERSION_ID', '')}"
    purl = f"pkg:deb/{system.get('ID', 'debian')}/{quote(one['name'], safe='')}@{quote(one['version'], safe=':~')}?{place}"
    component = {"type": "library", "bom-ref": purl, "name": one["name"], "version": one["version"], "purl": purl}
    # Debian's short names are its own, close to SPDX but not the same: they stand as names, not as identifiers.
    names = one["licences"] or ([f"see licenses/debian/{one['name']}/copyright"] if one["text"] else [])
    component["licenses"] = [{"license": {"name": name, "acknowledgement": "declared"}} for name in names]
    return component | _website(one["homepage"])


def _llama_cpp(versions: Mapping[str, str]) -> list[dict[str, Any]]:
    """What is compiled into the wheel of llama-cpp-python."""
    sources = {"llama.cpp": ("version", "https://github.com/ggml-org/llama.cpp"), "ggml": ("ggml", "https://github.com/ggml-org/ggml")}
    return [
        {
            "type": "library",
            "bom-ref": _part(name, versions),
            "name": name,
            "version": versions[key],
            "purl": f"pkg:github/ggml-org/{name}@{versions[key]}",
            "description": f"compiled into the wheel of llama-cpp-python {versions['wheel']}",
            "licenses": _licences("MIT"),
            **_website(website),
        }
        for name, (key, website) in sources.items()
    ]


def _dependencies(
    appliance: str, components: list[dict[str, Any]], python: list[Any], llama_cpp: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What needs what: the image all of its components, and Python packages each other as far as they say."""
    names = {one["name"]: _python_purl(one["name"], one["version"]) for one in python}
    needs: dict[str, list[str]] = {appliance: sorted(component["bom-ref"] for component in components)}
    for one in python:
        needs[names[one["name"]]] = sorted(names[need] for need in one["needs"] if need in names)
    if llama_cpp:
        for name in ("llama.cpp", "ggml"):
            needs[_part(name, llama_cpp)] = []
            needs[names["llama-cpp-python"]].append(_part(name, llama_cpp))
    return [{"ref": ref, "dependsOn": used} for ref, used in sorted(needs.items())]


def _part(name: str, versions: Mapping[str, str]) -> str:
    return f"llama-cpp-python@{versions['wheel']}#{name}"


def _python_purl(name: str, version: str) -> str:
    return f"pkg:pypi/{quote(name, safe='')}@{quote(version, safe=':')}"


def _licences(said: str, *, are_words: bool = False) -> list[dict[str, Any]]:
    """As an SPDX expression, or by name where it is none; a package's own words are never taken for one."""
    if not said:
        return []
    if not are_words and _EXPRESSION.match(said):
        return [{"expression": said, "acknowledgement": "declared"}]
    return [{"license": {"name": said, "acknowledgement": "declared"}}]


def _website(address: str) -> dict[str, Any]:
    return {"externalReferences": [{"type": "website", "url": address}]} if re.match(r"https?://[^\s]+$", address) else {}
