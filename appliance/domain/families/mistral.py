"""Mistral: Llama's layout and llama.cpp's ``llama`` architecture; attention looks back no further than a sliding window.

llama.cpp's converter writes no window for it, and its ``llama`` architecture reads none.
"""

from __future__ import annotations

from dataclasses import replace

from appliance.domain.families.decoder import decoder_tensors, sliding_window
from appliance.domain.families.llama import LLAMA, llama_metadata
from appliance.domain.family import Config


def _metadata(config: Config) -> dict[str, int | float | str]:
    return llama_metadata(config, sliding_window(config))


MISTRAL = replace(LLAMA, name="Mistral", architectures=("MistralForCausalLM",), tensors=decoder_tensors, metadata=_metadata)
