"""The importance matrix: how strongly each column of each weight is used, so that quantization spends its bits there.

It is collected by llama.cpp's own ``llama-imatrix`` over rendered conversations, and kept in its format, a GGUF file with two tensors per
weight: ``NAME.in_sum2`` (squared inputs summed, one per column) and ``NAME.counts`` (over how many tokens). What weighs a column is the
mean of its squared inputs, as ``llama-quantize`` reads it (``tools/quantize/quantize.cpp``, sdist 0.3.36).
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from gguf import GGUFReader, GGUFWriter
from numpy.typing import NDArray

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.processes.room import physical_cores
from appliance.stages.export.children import Tell, followed
from appliance.stages.export.plan import PlannedTensor
from appliance.stages.export.pouring import Bytes, Convert, gguf_bytes
from appliance.stages.export.quantizer import Quantize, quantize_rows

CONTEXT = 512
"""Tokens that attend to each other: llama.cpp's own choice for this program."""
LEAST_TOKENS = 64
"""Fewer say nothing about a model."""

_DONE = re.compile(rb"\[(\d+)\]")


@dataclass(frozen=True)
class Importance:
    """A matrix that was read."""

    columns: Mapping[str, NDArray[np.float32]]
    """By llama.cpp's name of the weight: the mean square of each column's input, (columns,)."""
    chunks: int
    datasets: tuple[str, ...]

    def add_to(self, head: GGUFWriter, file: str) -> None:
        """Note in a quantized file's metadata what it was quantized with, under llama-quantize's keys."""
        head.add_string("quantize.imatrix.file", file)
        if self.datasets:
            head.add_string("quantize.imatrix.dataset", self.datasets[0])
        head.add_uint32("quantize.imatrix.entries_count", len(self.columns))
        head.add_uint32("quantize.imatrix.chunks_count", self.chunks)


def chunks_of(tokens: int) -> tuple[int, int]:
    """(chunks, tokens in each) that a text of so many tokens gives; the program wants two at least.

    Raises ``importance_too_small``.
    """
    if tokens < LEAST_TOKENS:
        raise ApplianceError("importance_too_small", tokens=tokens, needed=LEAST_TOKENS)
    # A little is left over in case llama.cpp cuts the text into fewer tokens where two conversations meet.
    context = min(CONTEXT, (tokens - 8) // 2)
    return tokens // context, context


def collect_importance(model: Path, text: Path, chunks: tuple[int, int], target: Path, work: Path, tell: Tell) -> None:
    """Run a full-precision model over a text and write its matrix to ``target``; ``tell`` hears the tokens done."""
    count, context = chunks
    threads = physical_cores()
    command = [
        str(_program()), "-m", str(model), "-f", text.name, "-o", str(target), "--output-format", "gguf", "--parse-special",
        "-c", str(context), "-b", str(context), "-ub", str(context), "-t", str(threads), "--chunks", str(count), "-ofreq", str(count + 1),
    ]  # fmt: skip

    def hear(lines: list[bytes], unfinished: bytes) -> None:
        found = _DONE.findall(b"".join([*lines, unfinished]))
        if found:
            tell(int(found[-1]) * context)

    # Only the text's name goes into the matrix, so it runs where the text is.
    ending = followed(command, work / "imatrix.log", hear, cwd=text.parent)
    if ending.kind != "done" or not target.is_file():
        raise ApplianceError("importance_failed", ExitCode.RUN_FAILED, log=ending.log_tail)


def read_importance(path: Path) -> Importance:
    """A matrix in llama.cpp's format; raises ``importance_unusable`` when a number in it is none."""
    reader = GGUFReader(path)
    stored = {tensor.name: np.array(tensor.data, dtype=np.float32).reshape(-1) for tensor in reader.tensors}
    columns = {}
    for name, sums in stored.items():
        if not name.endswith(".in_sum2"):
            continue
        weight = name.removesuffix(".in_sum2")
        count = np.rint(stored[f"{weight}.counts"])
        means = (sums / count).astype(np.float32) if count[0] > 0 else np.ones_like(sums)
        if len(count) != 1 or not np.isfinite(means).all():
            raise ApplianceError("importance_unusable", tensor=weight)
        columns[weight] = means
    facts = {name: field.contents() for name, field in reader.fields.items()}
    return Importance(columns, int(facts["imatrix.chunk_count"]), tuple(facts["imatrix.datasets"]))


def weighed(importance: Importance | None, quantize: Quantize = quantize_rows) -> Convert:
    """The conversion of rows for a file that is quantized with this matrix, or with none, by this arithmetic.

    Raises ``importance_unusable`` for a matrix of another model. A weight that the matrix does not know is not weighed, as the embedding.
    """

    def convert(tensor: PlannedTensor, rows: NDArray[np.float32]) -> Bytes:
        means = importance.columns.get(tensor.name) if importance else None
        if means is not None and means.size != rows.shape[-1]:
            raise ApplianceError("importance_unusable", tensor=tensor.name)
        return gguf_bytes(tensor, rows, means, quantize)

    return convert


def _program() -> Path:
    found = importlib.util.find_spec("llama_cpp")
    program = Path(found.origin).parent / "bin" / "llama-imatrix" if found is not None and found.origin else None
    if program is None or not program.is_file():
        raise ApplianceError("llama_cpp_missing", ExitCode.RUN_FAILED)
    return program
