"""The arithmetic of near-duplicates as machine code that runs without Python's lock: signatures, sketches, comparisons, union-find."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from appliance.stages.compiled_code import use_cache_for

SHINGLE = 5
"""Characters of an n-gram."""
PERMUTATIONS = 125
"""Numbers of a signature."""
SKETCH = 1024
"""5-grams that are kept of a row: all of an ordinary one, of a longer one those with the smallest hashes."""
_PRIME = np.uint32(0x01000193)
_MIX_1, _MIX_2, _FOLD = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35), np.uint32(0x9E3779B1)
_S13, _S15, _S16 = np.uint32(13), np.uint32(15), np.uint32(16)

Function = TypeVar("Function", bound=Callable[..., Any])


def _part(function: Function) -> Function:
    return cast(Function, njit(error_model="numpy")(function))


def _program(function: Function) -> Function:
    return cast(Function, njit(error_model="numpy", nogil=True, cache=use_cache_for(Path(__file__).parent) is not None)(function))


@_part
def _mixed(value: Any) -> Any:
    """The finalizer of MurmurHash3: every bit of a u32 depends on every other."""
    # numba multiplies two u32 to a u64, so it is told to cut.
    value = np.uint32((value ^ (value >> _S16)) * _MIX_1)
    value = np.uint32((value ^ (value >> _S13)) * _MIX_2)
    return np.uint32(value ^ (value >> _S16))


@_program
def sketch_rows(codes: Any, ends: Any, factors: Any, offsets: Any, signatures: Any, sketches: Any, sketch_ends: Any) -> None:
    """Signatures (rows, PERMUTATIONS) u16 and sorted sketches (one after another, up to each of ``sketch_ends``) u32 of some texts.

    ``codes`` (characters,) u32 are the texts' code points, row i from ``ends[i]`` to ``ends[i + 1]``. A text of fewer than five characters
    is one shingle; an empty one has none, and its signature is all zeros.
    """
    smallest = np.empty(PERMUTATIONS, np.uint32)
    filled = 0
    for row in range(len(ends) - 1):
        start, length = ends[row], ends[row + 1] - ends[row]
        width = min(SHINGLE, length)
        hashes = np.empty(length - width + 1 if length else 0, np.uint32)
        for place in range(len(hashes)):
            value = np.uint32(0x811C9DC5)
            for step in range(width):
                value = np.uint32((value ^ codes[start + place + step]) * _PRIME)
                value = np.uint32(value ^ (value >> _S15))
            hashes[place] = _mixed(value)
        hashes.sort()
        begin, distinct = filled, 0
        smallest[:] = np.uint32(0xFFFFFFFF)
        for place in range(len(hashes)):
            value = hashes[place]
            if place and value == hashes[place - 1]:
                continue
            if distinct < SKETCH:
                sketches[filled] = value
                filled += 1
            distinct += 1
            for k in range(PERMUTATIONS):
                smallest[k] = min(smallest[k], np.uint32(factors[k] * value + offsets[k]))
        sketch_ends[row] = filled
        for k in range(PERMUTATIONS):
            folded = np.uint32((smallest[k] ^ (smallest[k] >> _S15)) * _FOLD) >> _S16
            signatures[row, k] = np.uint16(folded) if filled > begin else np.uint16(0)


@_program
def band_keys(signatures: Any, first: int, width: int, keys: Any) -> None:
    """One u64 per row: above, a hash of the ``width`` numbers of a band; below, of the three that follow it.

    Rows with equal upper halves share a bucket; the lower half brings the most alike of a large bucket next to each other.
    """
    count = signatures.shape[1]
    for row in range(len(keys)):
        upper = np.uint32(0x811C9DC5)
        for k in range(first, first + width):
            upper = _mixed(np.uint32((upper ^ np.uint32(signatures[row, k])) * _PRIME))
        lower = np.uint32(0x811C9DC5)
        for k in range(first + width, first + width + 3):
            lower = _mixed(np.uint32((lower ^ np.uint32(signatures[row, k % count])) * _PRIME))
        keys[row] = (np.uint64(upper) << np.uint64(32)) | np.uint64(lower)


@_part
def _agreeing(signatures: Any, one: int, other: int) -> Any:
    """How many numbers of two rows' signatures are equal."""
    count = 0
    for k in range(PERMUTATIONS):
        count += signatures[one, k] == signatures[other, k]
    return count


@_part
def _jaccard(sketches: Any, ends: Any, one: int, other: int, threshold: float) -> Any:
    """Jaccard similarity of two rows' 5-grams; 0 where their numbers alone rule the threshold out.

    Exact for rows of fewer than ``SKETCH`` different 5-grams; beyond, that of the smallest ``SKETCH`` of both together.
    """
    i, end_i = ends[one], ends[one + 1]
    j, end_j = ends[other], ends[other + 1]
    size_i, size_j = end_i - i, end_j - j
    cut = size_i == SKETCH or size_j == SKETCH
    if min(size_i, size_j) < threshold * max(size_i, size_j):
        return 0.0
    together, both = 0, 0
    while (i < end_i or j < end_j) and not (cut and together == SKETCH):
        together += 1
        if j == end_j or (i < end_i and sketches[i] < sketches[j]):
            i += 1
        elif i == end_i or sketches[j] < sketches[i]:
            j += 1
        else:
            both += 1
            i += 1
            j += 1
    return both / together if together else 0.0


@_program
def compare_buckets(
    order: Any,
    keys: Any,
    span: Any,
    limits: Any,
    threshold: float,
    signatures: Any,
    sketches: Any,
    ends: Any,
    labels: Any,
    edges: Any,
) -> Any:
    """Compare the rows of each bucket with their neighbours in it; fills ``edges`` (n, 2) and gives their number.

    ``order`` sorts rows by their keys; buckets from ``span[0]`` to ``span[1]`` in that order are looked at. ``limits`` are the numbers of
    a signature that have to agree, the neighbours that a row is compared with, how many of them it may be joined to, and how many of them
    may fail. ``labels`` tell which rows are together already; those of rows in the span are changed.
    """
    least, window, joins, failures = limits
    found, bucket = 0, span[0]
    shift = np.uint64(32)
    for place in range(span[0], span[1]):
        row = order[place]
        if keys[row] >> shift != keys[order[bucket]] >> shift:
            bucket = place
            continue
        failed = joined = 0
        for before in range(place - 1, max(bucket, place - window) - 1, -1):
            other = order[before]
            if labels[row] == labels[other] or _agreeing(signatures, row, other) < least:
                continue
            if _jaccard(sketches, ends, row, other, threshold) < threshold:
                failed += 1
                if failed == failures:
                    break
                continue
            edges[found, 0], edges[found, 1] = row, other
            found += 1
            joined += 1
            old, new = labels[row], labels[other]
            labels[row] = new
            for near in range(max(bucket, place - window), place):
                if labels[order[near]] == old:
                    labels[order[near]] = new
            if joined == joins:
                break
    return found


@_program
def unite(first: Any, edges: Any) -> None:
    """Union-find: ``first`` (rows,) i64 leads from every row to an earlier one of its group, or to itself; edges are added."""
    for edge in range(len(edges)):
        one, other = edges[edge, 0], edges[edge, 1]
        while first[one] != one:
            first[one] = first[first[one]]
            one = first[one]
        while first[other] != other:
            first[other] = first[first[other]]
            other = first[other]
        first[max(one, other)] = min(one, other)


@_program
def flatten(first: Any) -> None:
    """Let every row lead to the first one of its group at once: rows come after what they lead to."""
    for row in range(len(first)):
        first[row] = first[first[row]]
