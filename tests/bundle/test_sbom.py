"""The bill of materials: valid by CycloneDX's own schema, complete, with licences, versions and package URLs that other tools read."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from license_expression import get_spdx_licensing
from packageurl import PackageURL

from scripts.bundling import inventory
from scripts.bundling.folder import add_licences
from scripts.bundling.sbom import bill, notices
from scripts.container.telling import HOUSE

FACTS = {"version": "0.1.0", "variant": "cpu", "image": "greenwave:0.1.0-cpu", "id": "sha256:0", "created": "2026-11-21T19:00:00Z"}


@pytest.fixture(scope="module")
def gathered() -> tarfile.TarFile:
    """What the program that asks an image says about this very environment, whose libraries are the same."""
    asked = subprocess.run([sys.executable, "-"], input=Path(inventory.__file__).read_bytes(), capture_output=True, check=True)
    return tarfile.open(fileobj=io.BytesIO(asked.stdout))


@pytest.fixture(scope="module")
def inside(gathered: tarfile.TarFile) -> dict[str, Any]:
    """The inventory."""
    member = gathered.extractfile("inventory.json")
    assert member is not None
    found: dict[str, Any] = json.load(member)
    # An image knows the checksums of the wheels that it was made of.
    torch = next(one["version"] for one in found["python"] if one["name"] == "torch")
    return found | {"wheels": {f"torch=={torch}": "ab" * 32}}


@pytest.fixture(scope="module")
def document(inside: dict[str, Any]) -> dict[str, Any]:
    """The bill of that inventory."""
    known = notices((HOUSE / "THIRD-PARTY-NOTICES.md").read_text("utf-8"))
    return bill(inside, FACTS, known)


def test_the_schema_accepts_it(document: dict[str, Any]) -> None:
    """CycloneDX 1.6, strictly: no field that it does not know."""
    problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(document))
    assert problem is None, str(problem)[:1000]


def test_every_component_is_whole(document: dict[str, Any]) -> None:
    """Each has a version, a package URL in its usual form, and a licence; an expression is SPDX's; what is referred to is there."""
    spdx = get_spdx_licensing()
    for one in document["components"]:
        assert one["version"], one
        assert PackageURL.from_string(one["purl"]).to_string() == one["purl"]
        assert one["licenses"], one
        for licence in one["licenses"]:
            assert "expression" not in licence or not spdx.validate(licence["expression"]).errors, one
    references = {one["bom-ref"] for one in document["components"]} | {document["metadata"]["component"]["bom-ref"]}
    assert {edge["ref"] for edge in document["dependencies"]} <= references
    assert {used for edge in document["dependencies"] for used in edge["dependsOn"]} <= references


def test_what_is_inside_a_wheel_is_listed(document: dict[str, Any]) -> None:
    """llama.cpp and ggml with their versions, below the wheel that carries them; wheels with a known checksum have it."""
    named = {one["name"]: one for one in document["components"]}
    assert named["llama.cpp"]["version"] and named["ggml"]["version"]
    needs = {edge["ref"]: edge["dependsOn"] for edge in document["dependencies"]}
    assert named["llama.cpp"]["bom-ref"] in needs[named["llama-cpp-python"]["bom-ref"]]
    assert named["torch"]["hashes"] == [{"alg": "SHA-256", "content": "ab" * 32}]
    assert named["pysqlite3"]["licenses"][0]["expression"] == "Zlib"


def test_the_same_image_gives_the_same_bill(inside: dict[str, Any], document: dict[str, Any]) -> None:
    """Number and time come from what is described; another image has another number."""
    known = notices((HOUSE / "THIRD-PARTY-NOTICES.md").read_text("utf-8"))
    assert bill(inside, FACTS, known) == document
    assert bill(inside, FACTS | {"id": "sha256:1"}, known)["serialNumber"] != document["serialNumber"]


def test_every_licence_text_comes_along(gathered: tarfile.TarFile, inside: dict[str, Any], tmp_path: Path) -> None:
    """Each package has its texts in the bundle, or is listed with its licence as one that brings none."""
    names = gathered.getnames()
    add_licences(tmp_path, inside, {"tokenizers": "Apache-2.0"})
    page = (tmp_path / "licenses" / "README.md").read_text("utf-8")
    for one in inside["python"]:
        folder = f"licenses/python/{one['name']}-"
        assert any(name.startswith(folder) for name in names) or f"- {one['name']} {one['version']}: " in page, one["name"]
    for one in inside["debian"]:
        assert f"licenses/debian/{one['name']}/copyright" in names or f"- {one['name']} " in page
    assert "- tokenizers" not in page or "tokenizers 0.23.3: Apache-2.0" in page
    assert (tmp_path / "licenses" / "greenwave" / "LICENSE").is_file()
