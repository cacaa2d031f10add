"""Word documents (DOCX): one document per section, its source the paragraph where it begins."""

from __future__ import annotations

from appliance.stages.ingest.importers import confined_document

IMPORTER = confined_document.importer("docx", "docx")
