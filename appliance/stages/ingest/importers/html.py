"""Web pages: one document per section, its source the paragraph where it begins."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from appliance.stages.ingest.importers import confined_document
from appliance.stages.ingest.source import Source

CERTAIN = 1000
"""A page may look like a table with commas; how it begins leaves no doubt."""

_BEGINNING = re.compile(
    rb"\s*(?:<\?xml[^>]*>\s*)?(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body)[\s>]", re.IGNORECASE | re.DOTALL
)


def recognise(source: Source, _asked: Mapping[str, str]) -> int:
    """Text that begins as web pages do, or has their name and begins with an element."""
    beginning = next(source.peek(), b"")[:8192]
    is_named = Path(source.name).suffix.lower() in (".html", ".htm", ".xhtml") and beginning.lstrip().startswith(b"<")
    return CERTAIN if is_named or _BEGINNING.match(beginning) else 0


IMPORTER = confined_document.importer("html", "text", recognise)
