"""A worker whose fifth step does not come to its end: one call into native code that no signal ends, as the pass of a huge layer is.

``python -m tests.stages.train.stuck_worker STAGE SPEC_FILE``
"""

from __future__ import annotations

import ctypes
import sys
from typing import Any
from unittest.mock import patch

import torch

from appliance.running import worker
from appliance.stages.language_model.loss import summed_loss
from appliance.stages.train import gradients

STUCK = "the fifth step is stuck"


def never_return(_gradient: torch.Tensor) -> None:
    """Wait for a lock that this very thread holds."""
    mutex, library = ctypes.create_string_buffer(128), ctypes.CDLL(None)
    print(STUCK, file=sys.stderr, flush=True)
    library.pthread_mutex_lock(mutex)
    library.pthread_mutex_lock(mutex)


def main() -> int:
    """The worker, with a loss whose backward pass gets stuck."""
    calls = [0]

    def stuck_loss(*operands: Any) -> torch.Tensor:
        calls[0] += 1
        loss = summed_loss(*operands)
        if calls[0] == 5:  # all rows of a step are in one pack
            loss.register_hook(never_return)
        return loss

    with patch.object(gradients, "summed_loss", stuck_loss):
        return worker.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
