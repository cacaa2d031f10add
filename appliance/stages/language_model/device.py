"""Where a model computes: the device, its arithmetic and threads, and what running out of its memory is called."""

from __future__ import annotations

import ctypes
import os
import resource
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from typing import Literal

import torch

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Emit, Notice
from appliance.processes.room import physical_cores

_HOST_MEMORY_MESSAGES = ("DefaultCPUAllocator", "can't allocate memory")
_GPU_MEMORY_MESSAGES = ("CUDA out of memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Device:
    """A processor that is there."""

    kind: Literal["cpu", "cuda"]
    name: str
    """Shown to people."""
    dtype: torch.dtype
    """Of weights that are not quantized and of all arithmetic; adapters are float32 everywhere."""
    number: int = 0
    """Of a GPU among those of the machine."""

    @property
    def torch_device(self) -> torch.device:
        """As torch wants it."""
        return torch.device("cuda", self.number) if self.kind == "cuda" else torch.device("cpu")

    @property
    def dtype_name(self) -> str:
        """``bfloat16`` or ``float32``."""
        return str(self.dtype).removeprefix("torch.")

    def arithmetic(self) -> AbstractContextManager[object]:
        """The block in which a model computes: float32 adapters join bfloat16 arithmetic without casts by hand."""
        return nullcontext() if self.dtype == torch.float32 else torch.autocast(self.kind, self.dtype)


def choose_device(wanted: Literal["auto", "cpu", "cuda"], emit: Emit) -> Device:
    """The wanted device, or for ``auto`` the GPU where there is one; says which.

    Of several processes that train together each takes a GPU of its own. Raises ``gpu_missing`` when a GPU is wanted and torch finds none,
    and ``gpus_too_few``. On the CPU the number of threads is set to the cores that this
    process may use: in a container torch would count those of the whole machine.
    """
    place, processes = (int(os.environ.get(name, default)) for name, default in (("LOCAL_RANK", "0"), ("LOCAL_WORLD_SIZE", "1")))
    if wanted != "cpu" and torch.cuda.is_available():
        if place >= torch.cuda.device_count():
            raise ApplianceError("gpus_too_few", ExitCode.NO_ROOM, wanted=processes, found=torch.cuda.device_count())
        dtype = torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float32
        device = Device("cuda", torch.cuda.get_device_name(place), dtype, place)
        emit(Notice("info", "device_gpu", {"name": device.name, "dtype": device.dtype_name}))
        return device
    if wanted == "cuda":
        raise ApplianceError("gpu_missing", ExitCode.NO_ROOM)
    torch.set_num_threads(max(1, physical_cores() // processes))
    device = Device("cpu", "CPU", torch.float32)
    emit(Notice("info", "device_cpu", {"threads": torch.get_num_threads(), "dtype": device.dtype_name}))
    return device


@contextmanager
def memory_errors_named() -> Iterator[None]:
    """Turn the many ways in which torch runs out of memory into ``out_of_memory_gpu`` and ``out_of_memory_host``."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        match lacking_memory(error):
            case "gpu":
                raise ApplianceError("out_of_memory_gpu", ExitCode.NO_ROOM) from error
            case "host":
                raise _host_memory_error() from error
        raise


def give_back_memory() -> None:
    """Let the system have what the C library holds back of freed memory; it would do so by itself only at the heap's end."""
    with suppress(AttributeError):  # other C libraries than glibc
        ctypes.CDLL(None).malloc_trim(0)


def lacking_memory(error: Exception) -> Literal["gpu", "host"] | None:
    """Whose memory ran out, if that is what the error says."""
    if isinstance(error, torch.OutOfMemoryError):
        return "gpu"
    if isinstance(error, MemoryError) or any(message in str(error) for message in _HOST_MEMORY_MESSAGES):
        return "host"
    return "gpu" if any(message in str(error) for message in _GPU_MEMORY_MESSAGES) else None


def _host_memory_error() -> ApplianceError:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts in KiB
    return ApplianceError("out_of_memory_host", ExitCode.NO_ROOM, peak_memory=peak)
