"""The process in which a reader runs: ``python -m appliance.stages.readers.child READER FILE OPTIONS MEMORY SECONDS``.

The limits are set before the reader and its library are imported: bytes of address space, seconds of processor time, no core file. Parts
go to standard output; whatever else is printed goes to standard error.
"""

from __future__ import annotations

import os
import resource
import sys
import traceback
from collections.abc import Iterable
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

import msgspec

from appliance.stages.readers.part import Options, Part, Refusal, Unreadable


def main(arguments: list[str]) -> int:
    """Read one file; the exit status is 0 whenever the parent was told all there is to know."""
    reader, path, options, memory, seconds = arguments
    parts = os.fdopen(os.dup(1), "wb", 1 << 18)
    os.dup2(2, 1)
    _limit(int(memory), int(seconds))
    refusal: Refusal | None = None
    try:
        module = import_module(f"appliance.stages.readers.{reader}")
        _write(parts, module.parts(Path(path), msgspec.json.decode(options, type=Options)))
    except Unreadable as error:
        refusal = Refusal(error.code, error.parameters)
    except MemoryError:
        refusal = Refusal("file_needs_memory", {"limit": int(memory)})
    except BrokenPipeError:
        return 0  # nobody wants to know more
    except BaseException:  # noqa: BLE001  # libraries in other languages raise what is no Exception for a file they did not expect
        traceback.print_exc()
        refusal = Refusal("file_damaged")
    if refusal is not None:
        parts.write(msgspec.json.encode(refusal) + b"\n")
    parts.flush()
    # Some libraries take long to tidy up, or crash doing so, after all has been said.
    os._exit(0)


def _limit(memory: int, seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _write(stream: BinaryIO, parts: Iterable[Part]) -> None:
    encode = msgspec.json.Encoder().encode
    for part in parts:
        stream.write(encode(part))
        stream.write(b"\n")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
