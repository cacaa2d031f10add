"""How fast, in how much memory and how well near-duplicates are found, beside datasketch where it is asked for.

scripts/bench-data near-duplicates [--rows 1000000] [--peer-rows 20000]

Speed is measured on the rows of ``scripts/bench-data import``, which are all made of a few sentences and so the hard case; then on as many
rows that are told apart. Quality is measured on planted near-duplicates against the exact Jaccard similarity of all pairs. datasketch
(MinHashLSH, 128 permutations, with its own choice of bands) runs in an environment of its own below the system's temporary folder.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.bench.importing import generated_rows
from scripts.bench.stage import measured, show, tell, write_rows

PEER = "datasketch==1.6.5"
THRESHOLD = 0.8
QUALITY_TEXTS = 12_000

PEER_PROGRAM = """
import json, resource, sys, time
from datasketch import MinHash, MinHashLSH
rows, threshold = sys.argv[1], float(sys.argv[2])
texts = ["".join("".join(m["content"] for m in json.loads(line)["messages"]).split()).lower() for line in open(rows, encoding="utf-8")]
at_start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
began, began_cpu = time.perf_counter(), time.process_time()
lsh = MinHashLSH(threshold=threshold, num_perm=128)
first = list(range(len(texts)))
def root(row):
    while first[row] != row:
        first[row] = first[first[row]]
        row = first[row]
    return row
for number, text in enumerate(texts):
    minhash = MinHash(num_perm=128)
    minhash.update_batch([text[i:i + 5].encode() for i in range(max(1, len(text) - 4))])
    for other in lsh.query(minhash):
        one, two = root(number), root(int(other))
        first[max(one, two)] = min(one, two)
    lsh.insert(str(number), minhash)
print(json.dumps({"seconds": time.perf_counter() - began, "cpu_seconds": time.process_time() - began_cpu,
                  "memory_mb": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - at_start) / 1000, "first": [root(i) for i in first]}))
"""


def add_options(options: argparse.ArgumentParser) -> None:
    """What can be chosen."""
    options.add_argument("--rows", type=int, default=1_000_000)
    options.add_argument("--peer-rows", type=int, default=0, help="rows that datasketch is given; 0 leaves it out")
    options.add_argument("--quality-texts", type=int, default=QUALITY_TEXTS)


def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure in a temporary folder."""
    lines, peers = [], []
    with tempfile.TemporaryDirectory(prefix="bench-near-", dir=options.folder) as name:
        folder = Path(name)
        for kind, rows_of in (("few sentences", generated_rows), ("all different", different_rows)):
            rows = folder / f"{kind}.jsonl"
            size = write_rows(rows, options.rows, rows_of)
            spec = {"rows": str(rows), "output": str(folder / f"{kind}-groups"), "similarity": THRESHOLD}
            lines.append(measured(kind, "group", spec, options.rows, size))
            if options.peer_rows:
                peers.append(peer(f"datasketch, {kind}", rows_of, options.peer_rows, folder))
        quality = quality_of(options.quality_texts, folder, with_peer=bool(options.peer_rows))
    show(lines + peers)
    tell(json.dumps(quality, ensure_ascii=False))
    return {"rows": options.rows, "threshold": THRESHOLD, "measurements": lines, "peers": peers, "quality": quality}


def different_rows(count: int) -> Iterator[dict[str, str]]:
    """Rows of characters by chance, every fourth a copy of the one before with a few of them changed."""
    chance = random.Random(7)
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 1500)]
    text = ""
    for number in range(count):
        if number % 4 == 3:
            places = {chance.randrange(len(text)) for _ in range(3)}
            text = "".join(chance.choice(letters) if place in places else letter for place, letter in enumerate(text))
        else:
            text = "".join(chance.choices(letters, k=chance.randint(80, 320)))
        yield {"instruction": text[:30], "input": "", "output": text[30:]}


def peer(what: str, rows_of: Any, count: int, folder: Path) -> dict[str, Any]:
    """datasketch over as many rows."""
    rows = folder / "peer.jsonl"
    size = write_rows(rows, count, rows_of)
    taken = _run_peer(rows)
    rates = {"rows_per_second": round(count / taken["seconds"]), "rows_per_cpu_second": round(count / taken["cpu_seconds"])}
    figures = {name: round(taken[name], 2) for name in ("seconds", "cpu_seconds", "memory_mb")}
    return {"what": what, "rows": count, **figures, **rates, "mb_per_second": round(size / taken["seconds"] / 1e6, 1)}


def quality_of(count: int, folder: Path, *, with_peer: bool) -> dict[str, Any]:
    """Recall and precision over pairs from the threshold on; a found pair is two rows of one group that reach it, or one that does not."""
    from appliance.domain.document import Document
    from appliance.domain.row import row_to_json
    from appliance.stages.near_duplicates import find_groups, groups
    from tests.stages.near_duplicates.planted import alike_pairs, texts_with_copies

    texts = texts_with_copies(count)
    rows = folder / "planted.jsonl"
    rows.write_bytes(b"".join(row_to_json(Document(text)) + b"\n" for text in texts))
    groups.EVERY_PAIR_UP_TO = 0  # as a large file is searched
    found = find_groups(rows, len(texts), THRESHOLD, folder / "scratch", lambda _event: None)
    pairs = alike_pairs(texts, THRESHOLD)
    result = {"texts": count, "pairs": len(pairs), "greenwave": _scores(found.first.tolist(), texts, pairs)}
    if with_peer:
        conversations = folder / "planted-peer.jsonl"
        conversations.write_text("".join(json.dumps({"messages": [{"content": text}]}) + "\n" for text in texts), "utf-8")
        result["datasketch"] = _scores(_run_peer(conversations)["first"], texts, pairs)
    return result


def _scores(first: list[int], texts: list[str], pairs: set[tuple[int, int]]) -> dict[str, float]:
    from tests.stages.near_duplicates.planted import jaccard

    members: dict[int, list[int]] = {}
    for row, leader in enumerate(first):
        members.setdefault(leader, []).append(row)
    grouped = [rows for rows in members.values() if len(rows) > 1]
    rightly = sum(any(jaccard(texts[row], texts[other]) >= THRESHOLD for other in rows if other != row) for rows in grouped for row in rows)
    recall = sum(first[one] == first[other] for one, other in pairs) / max(1, len(pairs))
    return {"recall_of_pairs": round(recall, 4), "precision_of_rows": round(rightly / max(1, sum(map(len, grouped))), 4)}


def _run_peer(rows: Path) -> dict[str, Any]:
    command = [str(_environment() / "bin" / "python"), "-c", PEER_PROGRAM, str(rows), str(THRESHOLD)]
    taken: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return taken


def _environment() -> Path:
    """The peer's own environment, made once."""
    place = Path(tempfile.gettempdir()) / f"greenwave-bench-{PEER.replace('==', '-')}"
    if not (place / "ready").exists():
        tell(f"making an environment for {PEER} in {place}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(place)], check=True)
        subprocess.run([str(place / "bin" / "python"), "-m", "pip", "install", "--quiet", PEER], check=True)
        (place / "ready").touch()
    return place
