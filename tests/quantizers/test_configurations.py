"""A word of a configuration that is not understood is refused by its name, in every format."""

from pathlib import Path

import checkpoints as made
import pytest
import torch

from quantmis.errors import UserError
from quantmis.quantizers.formats import read

GROUP = {"targets": ["Linear"], "weights": {"num_bits": 4, "type": "int", "symmetric": False, "group_size": 8}}
COMPRESSED = {"quant_method": "compressed-tensors", "format": "pack-quantized", "config_groups": {"group_0": GROUP}}
SOUND = {
    "gptq": {"quant_method": "gptq", "bits": 4, "group_size": 8, "desc_act": False, "sym": False, "damp_percent": 0.1},
    "awq": {"quant_method": "awq", "bits": 4, "group_size": 8, "version": "gemm", "zero_point": True},
    "compressed-tensors": COMPRESSED | {"ignore": ["lm_head"], "kv_cache_scheme": None, "transform_config": {}},
    "bitsandbytes": {"quant_method": "bitsandbytes", "load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16"},
    "auto-round": {
        "quant_method": "auto-round",
        "packing_format": "auto_round:auto_gptq",
        "bits": 4,
        "data_type": "int",
    },
}
TENSORS = {
    "gptq": lambda: made.gptq(made.draws()),
    "auto-round": lambda: made.gptq(made.draws()),
    "awq": lambda: made.awq(made.draws()),
    "compressed-tensors": lambda: made.compressed(made.draws(), packed_zeros=True),
    "bitsandbytes": lambda: made.bitsandbytes()[0],
}
STRANGE = {
    "gptq": {
        "rotation": "hadamard",
        "dynamic": {"+:.*mlp": {"bits": 8}},
        "pack_dtype": "int64",
        "checkpoint_format": "x",
    },
    "awq": {"transform": "hadamard", "version": "marlin", "bits_per_layer": [4, 3]},
    "compressed-tensors": {
        "transform_config": {"config_groups": {"R1": {"type": "hadamard"}}},
        "kv_cache_scheme": {"num_bits": 8},
        "format": "marlin-24",
        "rotation": True,
    },
    "bitsandbytes": {"llm_int8_has_fp16_weight": True, "outlier_transform": "rotate"},
    "auto-round": {
        "packing_format": "auto_round:marlin",
        "act_bits": 8,
        "data_type": "mx_fp",
        "hadamard_config": {"n": 1},
    },
}


@pytest.mark.parametrize("format", SOUND)
def test_a_sound_configuration_is_understood(tmp_path: Path, format: str):
    assert len(read(made.written(tmp_path, TENSORS[format](), SOUND[format])).layers) == 1


@pytest.mark.parametrize(("format", "word"), [(each, word) for each in STRANGE for word in STRANGE[each]])
def test_a_word_that_is_not_understood_is_refused_by_its_name(tmp_path: Path, format: str, word: str):
    path = made.written(tmp_path, TENSORS[format](), SOUND[format] | {word: STRANGE[format][word]})
    with pytest.raises(UserError, match=rf"{word} = .* is not understood"):
        read(path)


@pytest.mark.parametrize(
    ("part", "word", "value"),
    [
        ("weights", "type", "complex"),
        ("weights", "strategy", "token"),
        ("weights", "mystery", 1),
        ("input_activations", "mystery", 1),
        ("output_activations", "num_bits", 8),
    ],
)
def test_a_word_in_a_group_is_refused_by_its_name(tmp_path: Path, part: str, word: str, value: object):
    group = GROUP | {part: GROUP.get(part, {}) | {word: value}}
    path = made.written(tmp_path, TENSORS["compressed-tensors"](), COMPRESSED | {"config_groups": {"group_0": group}})
    with pytest.raises(UserError, match="is not understood"):
        read(path)


@pytest.mark.parametrize("words", [{"format": "marlin-24"}, {"format": "dense", "mystery": 1}, 3])
def test_what_a_sparse_checkpoint_says_must_be_understood(tmp_path: Path, words: object):
    path = made.written(tmp_path, TENSORS["compressed-tensors"](), COMPRESSED | {"sparsity_config": words})
    with pytest.raises(UserError, match="sparsity_config"):
        read(path)


def test_every_group_of_a_configuration_is_held_to_the_same_words(tmp_path: Path):
    groups = {"group_0": GROUP, "group_1": GROUP | {"weights": GROUP["weights"] | {"dynamic": True}}}
    path = made.written(tmp_path, TENSORS["compressed-tensors"](), COMPRESSED | {"config_groups": groups})
    with pytest.raises(UserError, match="weights of group_1: dynamic = True is not understood"):
        read(path)


def test_a_word_of_a_single_layer_is_refused_by_its_name(tmp_path: Path):
    words = SOUND["auto-round"] | {"extra_config": {"lm_head": {"bits": 16, "data_type": "float"}}}
    assert read(made.written(tmp_path, TENSORS["auto-round"](), words)).layers
    words = SOUND["auto-round"] | {"extra_config": {"0": {"bits": 4, "rotate": True}}}
    with pytest.raises(UserError, match="extra_config of 0: rotate = True is not understood"):
        read(made.written(tmp_path, TENSORS["auto-round"](), words))


def test_a_word_of_the_state_of_bitsandbytes_is_refused_by_its_name(tmp_path: Path):
    tensors = made.bitsandbytes()[0]
    state = b'{"quant_type": "nf4", "blocksize": 64, "dtype": "float32", "shape": [8, 32], "permutation": [1]}'
    key = "0.weight.quant_state.bitsandbytes__nf4"
    with pytest.raises(UserError, match=r"permutation = .* is not understood"):
        read(made.written(tmp_path, tensors | {key: torch.tensor(list(state), dtype=torch.uint8)}))


def test_a_state_of_bitsandbytes_may_leave_the_type_to_its_name(tmp_path: Path):
    tensors, key = made.bitsandbytes()[0], "0.weight.quant_state.bitsandbytes__nf4"
    state = b'{"blocksize": 64, "dtype": "float32", "shape": [8, 32]}'
    assert read(made.written(tmp_path, tensors | {key: torch.tensor(list(state), dtype=torch.uint8)})).layers
    state = state.replace(b"{", b'{"quant_type": "fp4", ', 1)
    with pytest.raises(UserError, match="is nf4 by its name and fp4 by its state"):
        read(made.written(tmp_path, tensors | {key: torch.tensor(list(state), dtype=torch.uint8)}))


def test_a_method_that_is_not_read_is_refused_by_its_name(tmp_path: Path):
    with pytest.raises(UserError, match="quant_method = 'vptq' is not read"):
        read(made.written(tmp_path, TENSORS["gptq"](), {"quant_method": "vptq"}))


def test_a_configuration_of_another_format_than_the_tensors_is_refused(tmp_path: Path):
    with pytest.raises(UserError, match="its configuration says awq, its tensors are those of gptq"):
        read(made.written(tmp_path, made.gptq(made.draws(size=16)), SOUND["awq"]))


def test_two_configurations_that_differ_are_refused(tmp_path: Path):
    path = made.written(tmp_path, TENSORS["gptq"](), SOUND["gptq"])
    (tmp_path / "quantize_config.json").write_text('{"bits": 8}')
    with pytest.raises(UserError, match="bits differ from what"):
        read(path)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"quantization_config": {"bits": 4, "bits": 8}}', "'bits' comes twice"),
        ('{"quantization_config": {"bits": NaN}}', "NaN is no number"),
        ('{"quantization_config": [1]}', "is no table"),
        ("[" * 20000, "is no JSON"),
    ],
)
def test_a_configuration_that_is_no_plain_table_is_refused(tmp_path: Path, text: str, words: str):
    path = made.written(tmp_path, TENSORS["gptq"]())
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match=words):
        read(path)
