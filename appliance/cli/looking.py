"""What ``greenwave datasets import --look`` prints: how a file would be read, for a person who knows the file."""

from __future__ import annotations

from appliance.cli.output import print_facts, print_json, print_line
from appliance.cli.wording import label
from appliance.domain.look import Look
from appliance.texts.foreign import printable
from appliance.texts.speech import human_bytes, say

LONGEST = 200
"""Characters of a text that are shown."""


def show_look(look: Look, as_json: bool) -> None:
    """Facts, columns and the first rows."""
    if as_json:
        print_json(look)
        return
    facts = {"file": look.name, "size": human_bytes(look.size), "format": look.format, "kind": label(f"kind_{look.kind}")}
    if look.encoding:
        facts["encoding"] = look.encoding
    if look.columns:
        facts["columns"] = ", ".join(f"{field} = {column}" for field, column in look.columns.items())
    if look.entries:
        facts["entries"] = ", ".join(f"{name}: {count}" for name, count in look.entries.items())
    for headings in look.headings:
        facts.setdefault("headings", "")
        before = f"{facts['headings']}; " if facts["headings"] else ""
        facts["headings"] = f"{before}{headings.table + ': ' if headings.table else ''}{', '.join(filter(None, headings.names))}"
    print_facts(facts)
    for row in look.rows:
        print_line(f"── {printable(row.get('source', ''))}")
        for message in row.get("messages", ()):
            print_line(f"{label('role_' + message['role'])}: {_shown(message['content'])}")
        if "text" in row:
            print_line(_shown(row["text"]))
    for refused in look.rejected:
        place = refused.source or f"{label('line')} {refused.line}"
        print_line(f"── {place}: {say('problems', refused.reason, **refused.parameters)}  {printable(refused.excerpt)[:80]}")


def _shown(text: str) -> str:
    return printable(text if len(text) <= LONGEST else text[: LONGEST - 1] + "…")
