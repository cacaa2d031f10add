"""bitsandbytes without torch's compiler: import this before anything that imports bitsandbytes, as peft does.

bitsandbytes 0.50 hands four functions of its 8-bit arithmetic, which is not used here, to ``torch.compile`` when it is imported. That alone
imports the compiler, some 550 modules and a fifth of the time until a training starts. Here those four stay as they were written.
"""

from __future__ import annotations

import logging

from appliance.stages.language_model.lean import lean_import

# At its import it regrets that there are no kernels from the network, and tells to install something.
logging.getLogger("bitsandbytes").setLevel(logging.ERROR)

with lean_import():
    import bitsandbytes

__all__ = ["bitsandbytes"]
