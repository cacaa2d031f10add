"""Files of SUMO, recognised by their root element and given to the readers of what lies in them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from itertools import islice

from appliance.domain.conversation import Conversation
from appliance.domain.dataset import Rejected
from appliance.domain.errors import ApplianceError
from appliance.stages.ingest.refusal import Refused, rejected
from appliance.stages.ingest.source import Source
from appliance.stages.ingest.traffic.sumo.edge_measures import EdgeMeasures
from appliance.stages.ingest.traffic.sumo.network import Network
from appliance.stages.ingest.traffic.sumo.packed import unpacked
from appliance.stages.ingest.traffic.sumo.programs import Programs
from appliance.stages.ingest.traffic.sumo.reading import Reader
from appliance.stages.ingest.traffic.sumo.steps import Steps
from appliance.stages.ingest.traffic.sumo.trips import Trips
from appliance.stages.ingest.traffic.sumo.xml_stream import Element, elements

ROOTS: Mapping[str, tuple[Callable[[str], Reader], ...]] = {
    "net": (Network, Programs),
    "additional": (Programs,),
    "add": (Programs,),
    "tlLogics": (Programs,),
    "tripinfos": (Trips,),
    "summary": (Steps,),
    "meandata": (EdgeMeasures,),
}
"""Root element → what reads the elements below it."""

_BEGINNING = 1 << 20
"""Bytes within which the root element is looked for: comments of any generator are shorter."""
_BLANK = b"\xef\xbb\xbf \t\r\n"
_ROOT = re.compile(rb"(?:<\?.*?\?>|<!--.*?-->|\s+)*+<(?:!DOCTYPE\s+)?([\w:.-]+)", re.DOTALL)
"""What stands above the root element, and its name, which a document type tells, too."""


def is_of_sumo(source: Source) -> bool:
    """Whether the document's root is one of SUMO's, even one that is hidden behind a document type or breaks off."""
    head = b""
    try:
        for block in _peeked(source):
            head += block
            if not head.lstrip(_BLANK).startswith(b"<"[: len(head.lstrip(_BLANK))]) or len(head) >= _BEGINNING:
                break
    except ApplianceError:
        # Damage shows when the file is read; what has been unpacked is enough to know it by.
        pass
    root = _ROOT.match(head.lstrip(_BLANK)[:_BEGINNING])
    return root is not None and root[1].decode("ascii", "replace") in ROOTS


def rows_of(source: Source) -> Iterator[Conversation | Rejected]:
    """The rows of a file, all of them from the figures that stand in it; elements that cannot be read are refused one by one.

    Raises ``sumo_root_unknown`` and what ``elements`` and ``unpacked`` raise.
    """
    found = elements(_blocks(source), source.name)
    root = next(found)
    if root.name not in ROOTS:
        raise ApplianceError("sumo_root_unknown", name=source.name, root=root.name[:40], known=", ".join(ROOTS))
    readers = [make(source.name) for make in ROOTS[root.name]]
    for element in found:
        for reader in readers:
            try:
                if element.is_end:
                    yield from reader.end(element)
                else:
                    reader.begin(element)
            except Refused as verdict:
                yield rejected(verdict, element.line, 0, _excerpt(element))
    for reader in readers:
        yield from reader.finish()


def _blocks(source: Source) -> Iterator[bytes]:
    if source.medium == "gzip":
        source.pass_over()
        return unpacked(source.path, source.name)
    return source.blocks()


def _peeked(source: Source) -> Iterator[bytes]:
    return unpacked(source.path, source.name) if source.medium == "gzip" else source.peek()


def _excerpt(element: Element) -> bytes:
    attributes = "".join(f' {name}="{value}"' for name, value in islice(element.attributes.items(), 12))
    return f"<{element.name}{attributes}>"[:1000].encode("utf-8", "surrogatepass")
