"""The device: chosen, named, and what running out of memory is called."""

from __future__ import annotations

import os

import pytest
import torch

from appliance.domain.errors import ApplianceError, ExitCode
from appliance.domain.event import Event, Notice
from appliance.processes.room import physical_cores
from appliance.stages.language_model.device import choose_device, memory_errors_named

no_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")


@no_gpu
def test_auto_without_gpu_is_the_cpu() -> None:
    """Without a GPU ``auto`` computes on the CPU in float32 and says so."""
    events: list[Event] = []
    device = choose_device("auto", events.append)
    assert (device.kind, device.dtype_name) == ("cpu", "float32")
    assert events == [Notice("info", "device_cpu", {"threads": physical_cores(), "dtype": "float32"})]


@no_gpu
def test_demanded_gpu_is_missing() -> None:
    """A GPU that is demanded and not there is an error of room, not a slow run."""
    with pytest.raises(ApplianceError, match="gpu_missing") as caught:
        choose_device("cuda", lambda _event: None)
    assert caught.value.exit_code is ExitCode.NO_ROOM


def test_waiting_threads_do_not_spin() -> None:
    """Importing any stage tells OpenMP to let waiting threads sleep."""
    assert os.environ["OMP_WAIT_POLICY"] == "PASSIVE"


def test_host_memory_is_named() -> None:
    """A tensor that no machine can hold ends as ``out_of_memory_host`` with the peak."""
    with pytest.raises(ApplianceError, match="out_of_memory_host") as caught, memory_errors_named():
        torch.empty(1 << 52, dtype=torch.uint8)
    assert caught.value.exit_code is ExitCode.NO_ROOM
    assert caught.value.parameters["peak_memory"] > 0


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (MemoryError(), "out_of_memory_host"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "out_of_memory_gpu"),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"), "out_of_memory_gpu"),
    ],
)
def test_each_memory_error_is_named(error: Exception, code: str) -> None:
    """Whatever form the lack of memory takes, it gets its name."""
    with pytest.raises(ApplianceError, match=code), memory_errors_named():
        raise error


def test_other_errors_pass() -> None:
    """An error of another kind stays what it is."""
    with pytest.raises(RuntimeError, match="shapes"), memory_errors_named():
        raise RuntimeError("shapes do not match")
