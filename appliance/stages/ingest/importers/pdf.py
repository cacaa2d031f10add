"""PDF files with text: one document per page."""

from __future__ import annotations

from appliance.stages.ingest.importers import confined_document

IMPORTER = confined_document.importer("pdf", "pdf")
