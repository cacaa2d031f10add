"""The parts of transformers that load and run a model, imported without torch's compiler: import names of these parts from here."""

from __future__ import annotations

from appliance.stages.language_model import lean_names  # noqa: F401  # before transformers
from appliance.stages.language_model.lean import lean_import

with lean_import():
    from transformers import AttentionInterface, AttentionMaskInterface, AutoModelForCausalLM, BitsAndBytesConfig
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask
    from transformers.modeling_layers import GradientCheckpointingLayer

__all__ = [
    "AttentionInterface",
    "AttentionMaskInterface",
    "AutoModelForCausalLM",
    "BitsAndBytesConfig",
    "GradientCheckpointingLayer",
    "sdpa_attention_forward",
    "sdpa_mask",
]
