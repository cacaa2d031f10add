"""Every family: one file, one line, and all its parts agree."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.domain.errors import ApplianceError
from appliance.domain.families import FAMILIES, family_of, supported_architectures, tensor_problems
from appliance.domain.families.decoder import llama3_rope_factors
from appliance.domain.family import Family


def config_of(family: Family, **changes: Any) -> dict[str, Any]:
    """A small config of the family."""
    return {
        "architectures": list(family.architectures),
        "hidden_size": 64,
        "intermediate_size": 96,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 500,
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-5,
        **changes,
    }


each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)


@each_family
def test_family_is_found_by_its_architecture(family: Family) -> None:
    """A config's architecture leads to its family."""
    assert family_of(config_of(family)) is family


@pytest.mark.parametrize("named", [["BloomForCausalLM"], [], None, "Qwen2ForCausalLM", [7]])
def test_unknown_architecture_is_named_with_the_supported_ones(named: Any) -> None:
    """The refusal says what was found and what there is."""
    with pytest.raises(ApplianceError) as caught:
        family_of({"architectures": named})
    assert caught.value.code == "family_unknown"
    assert caught.value.parameters["supported"] == ", ".join(supported_architectures())
    if named == ["BloomForCausalLM"]:
        assert caught.value.parameters["architecture"] == "BloomForCausalLM"


@each_family
@pytest.mark.parametrize("changes", [{}, {"tie_word_embeddings": True}, {"attention_bias": True, "mlp_bias": True}, {"head_dim": 32}])
def test_every_promised_tensor_has_a_name_in_llama_cpp(family: Family, changes: dict[str, Any]) -> None:
    """Names are complete and different from each other."""
    names = [family.gguf_name(name) for name in family.tensors(config_of(family, **changes))]
    assert None not in names
    assert len(set(names)) == len(names)
    assert ("output.weight" in names) != bool(changes.get("tie_word_embeddings"))


@each_family
def test_linear_modules_are_all_matrices_of_a_block(family: Family) -> None:
    """ "All linear" leaves no matrix of a block out."""
    tensors = family.tensors(config_of(family))
    matrices = {name.split(".")[-2] for name, shape in tensors.items() if len(shape) == 2 and ".layers." in name}
    assert matrices == set(family.linear_modules)
    assert all(any(family.is_permuted(f"model.layers.0.{module}.weight") for module in (permuted,)) for permuted in family.permuted_modules)


@each_family
def test_foreign_tensors_have_no_name(family: Family) -> None:
    """A buffer that some bases store, and names that only look alike, are not the family's."""
    for name in ("model.layers.0.self_attn.rotary_emb.inv_freq", "model.layers.x.mlp.up_proj.weight", "visual.blocks.0.weight"):
        assert family.gguf_name(name) is None


@each_family
@pytest.mark.parametrize("key", ["hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "max_position_embeddings"])
@pytest.mark.parametrize("value", [None, 0, -3, "64", 2.5, True, [64]])
def test_unusable_number_is_named(family: Family, key: str, value: Any) -> None:
    """Whatever stands where a size should be, the key is told."""
    config = config_of(family, **{key: value})
    with pytest.raises(ApplianceError) as caught:
        family.tensors(config) and family.metadata(config)
    assert caught.value.code == "config_incomplete"
    assert caught.value.parameters["key"] == key


@each_family
def test_absurd_depth_is_refused_at_once(family: Family) -> None:
    """A config that claims a billion blocks costs no time."""
    with pytest.raises(ApplianceError, match="config_unsupported"):
        family.tensors(config_of(family, num_hidden_layers=10**9))


@each_family
def test_tensor_problems_name_what_is_missing_or_differs(family: Family) -> None:
    """One entry per tensor, with its name; none when all is there, whatever else there is."""
    config = config_of(family)
    shapes = dict(family.tensors(config))
    assert tensor_problems(family, config, {**shapes, "something.else": (1,)}) == []
    del shapes["model.norm.weight"]
    shapes["model.layers.2.mlp.up_proj.weight"] = (96, 63)
    assert tensor_problems(family, config, shapes) == [
        {"code": "tensor_missing", "tensor": "model.norm.weight"},
        {"code": "tensor_shape_differs", "tensor": "model.layers.2.mlp.up_proj.weight", "expected": [96, 64], "found": [96, 63]},
    ]


@each_family
def test_older_and_newer_configs_say_the_same(family: Family) -> None:
    """``rope_theta`` and ``rope_scaling`` of older configs are ``rope_parameters`` of newer ones."""
    scaling = {"rope_type": "linear", "factor": 2.0}
    older = config_of(family, rope_theta=5000.0, rope_scaling=scaling)
    newer = config_of(family, rope_parameters={"rope_theta": 5000.0, **scaling})
    oldest = config_of(family, rope_theta=5000.0, rope_scaling={"type": "linear", "factor": 2.0})
    assert family.metadata(older) == family.metadata(newer) == family.metadata(oldest)
    assert family.metadata(older)["rope.scaling.factor"] == 2.0


@given(st.floats(1.0, 64.0), st.integers(32, 65_536))
def test_llama3_factors_go_from_one_to_the_factor(factor: float, context: int) -> None:
    """Short waves stay, the longest are divided by the factor, and no step goes back."""
    scaling = {"rope_type": "llama3", "rope_theta": 500_000.0, "factor": factor, "original_max_position_embeddings": context}
    config = {"hidden_size": 512, "num_attention_heads": 4, "rope_parameters": scaling}
    factors = llama3_rope_factors(config)["rope_freqs.weight"]
    assert len(factors) == 64
    assert factors == sorted(factors)
    assert factors[0] == 1.0
    assert factors[-1] == pytest.approx(factor)


@pytest.mark.parametrize(
    ("architecture", "changes", "context"),
    [
        ("MistralForCausalLM", {"max_position_embeddings": 32_768}, 4096),
        ("MistralForCausalLM", {"max_position_embeddings": 32_768, "sliding_window": None}, 32_768),
        ("MistralForCausalLM", {"sliding_window": 512}, 512),
        ("Qwen2ForCausalLM", {"sliding_window": 512}, 1024),
        ("Qwen2ForCausalLM", {"sliding_window": 512, "use_sliding_window": True}, 512),
        ("Qwen3ForCausalLM", {"sliding_window": 512, "use_sliding_window": True}, 512),
        ("LlamaForCausalLM", {"sliding_window": 512}, 1024),
    ],
)
def test_context_stops_at_a_sliding_window(architecture: str, changes: dict[str, Any], context: int) -> None:
    """llama.cpp looks back all the way, so no more context is offered than both compute alike."""
    config = {**config_of(FAMILIES[0], **changes), "architectures": [architecture]}
    assert family_of(config).metadata(config)["context_length"] == context


def test_qwen3_has_heads_of_128_unless_it_says_otherwise() -> None:
    """The size of a head does not follow from the hidden size; both norms of a head have it."""
    config = {**config_of(FAMILIES[0]), "architectures": ["Qwen3ForCausalLM"]}
    shapes = family_of(config).tensors(config)
    assert shapes["model.layers.0.self_attn.q_proj.weight"] == (512, 64)
    assert shapes["model.layers.0.self_attn.q_norm.weight"] == shapes["model.layers.0.self_attn.k_norm.weight"] == (128,)
    assert family_of(config).metadata(config)["attention.key_length"] == 128


def test_qwen3_with_biases_is_refused() -> None:
    """llama.cpp has none in this family."""
    config = {**config_of(FAMILIES[0], attention_bias=True), "architectures": ["Qwen3ForCausalLM"]}
    with pytest.raises(ApplianceError, match="config_unsupported"):
        family_of(config).metadata(config)
