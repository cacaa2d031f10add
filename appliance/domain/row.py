"""A row of a dataset, whichever kind it is: a conversation or a document, from JSON and back."""

from __future__ import annotations

import msgspec

from appliance.domain.conversation import Conversation
from appliance.domain.document import Document

Row = Conversation | Document

_encoder = msgspec.json.Encoder()
_conversation = msgspec.json.Decoder(Conversation)
_document = msgspec.json.Decoder(Document)


def row_to_json(row: Row) -> bytes:
    """A row as one line of JSON, without the newline."""
    return _encoder.encode(row)


def row_from_json(line: bytes) -> Row:
    """The row of one JSON line; raises ``msgspec.DecodeError`` or ``UnicodeDecodeError`` if it is neither kind."""
    try:
        return _conversation.decode(line)
    except msgspec.ValidationError as error:
        try:
            return _document.decode(line)
        except msgspec.ValidationError:
            raise error from None


def texts_of(row: Row) -> tuple[str, ...]:
    """Everything that a row says: the turns in their order, or the document's text."""
    if isinstance(row, Document):
        return (row.text,)
    return tuple(message.content for message in row.messages)
