"""Checkpoints of other tools mean what their layouts say, weight by weight; sound ones are not refused."""

from pathlib import Path

import checkpoints as made
import numpy as np
import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.models.weights import read_weights
from quantmis.quantizers.formats import format_of, read, restore


def dequantized(path: Path) -> np.ndarray:
    [layer] = read(path).layers
    return layer.dequantize().numpy()


def linear(columns: int = 32, rows: int = 16, bias: bool = False) -> nn.Module:
    return nn.Sequential(nn.Linear(columns, rows, bias=bias))


def test_awq_is_known_by_its_packing_and_read(tmp_path: Path):
    parts = made.draws()
    path = made.written(tmp_path, made.awq(parts), {"quant_method": "awq", "bits": 4, "version": "gemm"})
    assert format_of(path) == read(path).format == "awq"
    np.testing.assert_allclose(dequantized(path), made.weight_of(parts), rtol=1e-6)
    np.testing.assert_allclose(restore(linear(), path).model[0].weight.detach(), made.weight_of(parts), rtol=1e-6)


def test_awq_in_another_packing_or_without_zero_points_is_refused_by_name(tmp_path: Path):
    tensors = made.awq(made.draws())
    for word, value in (("version", "marlin"), ("zero_point", False), ("backend", "llm-awq")):
        path = made.written(tmp_path, tensors, {"quant_method": "awq", word: value})
        with pytest.raises(UserError, match=rf"{word} = {value!r} is not understood"):
            read(path)
    with pytest.raises(UserError, match="0 is packed as gemm, its configuration says gemv"):
        read(made.written(tmp_path, tensors, {"quant_method": "awq", "version": "gemv"}))


@pytest.mark.parametrize(
    ("packing", "less"),
    [("auto_round:auto_gptq", 1), ("auto_round:gptqmodel", 0), ("auto_round", 0)],
)
def test_zero_points_of_auto_round_are_what_its_packing_says(tmp_path: Path, packing: str, less: int):
    parts = made.draws(1)
    words = {"quant_method": "auto-round", "packing_format": packing, "bits": 4, "group_size": 8, "sym": False}
    path = made.written(tmp_path, made.gptq(parts, less), words)
    np.testing.assert_allclose(dequantized(path), made.weight_of(parts), rtol=1e-6)


def test_auto_round_in_the_packing_of_awq_is_read(tmp_path: Path):
    parts = made.draws(2)
    words = {"quant_method": "auto-round", "packing_format": "auto_round:auto_awq", "bits": 4, "data_type": "int"}
    np.testing.assert_allclose(
        dequantized(made.written(tmp_path, made.awq(parts), words)), made.weight_of(parts), rtol=1e-6
    )


@pytest.mark.parametrize("word", ["checkpoint_format", "format"])
def test_the_second_version_of_gptq_packs_zero_points_as_they_are(tmp_path: Path, word: str):
    parts = made.draws(3)
    path = made.written(tmp_path, made.gptq(parts, less=0), {"quant_method": "gptq", word: "gptq_v2"})
    np.testing.assert_allclose(dequantized(path), made.weight_of(parts), rtol=1e-6)


@pytest.mark.parametrize("packed", [True, False])
def test_zero_points_of_compressed_tensors_are_packed_or_signed_bytes(tmp_path: Path, packed: bool):
    parts = made.draws(4)
    path = made.written(tmp_path, made.compressed(parts, packed))
    np.testing.assert_allclose(dequantized(path), made.weight_of(parts), rtol=1e-6)


def test_zero_points_that_are_no_codes_are_refused(tmp_path: Path):
    tensors = made.compressed(made.draws(4), packed_zeros=False)
    path = made.written(tmp_path, tensors | {"0.weight_zero_point": tensors["0.weight_zero_point"] + 20})
    with pytest.raises(UserError, match="zero points are no codes of 4 bits"):
        read(path)


@pytest.mark.parametrize("storage", [torch.uint8, torch.int8, torch.bfloat16, torch.float16, torch.float32])
def test_codes_of_bitsandbytes_are_read_whatever_numbers_they_are_kept_as(tmp_path: Path, storage: torch.dtype):
    tensors, weight = made.bitsandbytes(storage)
    np.testing.assert_array_equal(dequantized(made.written(tmp_path, tensors)), weight)


def test_groups_that_do_not_divide_the_inputs_have_the_size_of_the_configuration(tmp_path: Path):
    parts = made.draws(5, columns=40, size=16)
    words = {"quant_method": "gptq", "bits": 4, "group_size": 16}
    path = made.written(tmp_path, made.gptq(parts), words)
    np.testing.assert_allclose(dequantized(path), made.weight_of(parts, 16), rtol=1e-6)
    with pytest.raises(UserError, match="3 groups of scales for 40 inputs, and its configuration says nothing"):
        read(made.written(tmp_path, made.gptq(parts)))


def test_a_head_whose_length_looks_like_a_pickle_is_read(tmp_path: Path):
    tensors = made.gptq(made.draws())
    for size in range(400):
        path = made.written(tmp_path, tensors | {f"0.{'x' * size}": torch.zeros(1)})
        if path.read_bytes()[:1] == b"\x80":
            break
    assert path.read_bytes()[:1] == b"\x80"
    assert format_of(path) == read(path).format == "gptq"
    assert read_weights(path).keys() == {*tensors, f"0.{'x' * size}"}


class Rotary(nn.Module):
    """A layer with a table of rotary frequencies that follows from its configuration."""

    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(32, 16, bias=False)
        self.register_buffer("inv_freq", 10000.0 ** (-torch.arange(0, 8, 2) / 8), persistent=False)


def test_zero_biases_and_rotary_frequencies_of_gptq_files_add_nothing(tmp_path: Path):
    parts = made.draws(6)
    tensors = {name.replace("0.", "fc.", 1): value for name, value in made.gptq(parts).items()}
    spare = {"fc.bias": torch.zeros(16), "attn.rotary_emb.inv_freq": Rotary().inv_freq.clone()}
    restored = restore(Rotary(), made.written(tmp_path, tensors | spare))
    np.testing.assert_allclose(restored.model.fc.weight.detach(), made.weight_of(parts), rtol=1e-6)
    with pytest.raises(UserError, match=r"the model has no fc\.bias"):
        restore(Rotary(), made.written(tmp_path, tensors | spare | {"fc.bias": torch.ones(16)}))
    other = {"attn.rotary_emb.inv_freq": 500000.0 ** (-torch.arange(0, 8, 2) / 8)}
    with pytest.raises(UserError, match="other frequencies than the model computes"):
        restore(Rotary(), made.written(tmp_path, tensors | other))


def test_wrappers_before_names_get_a_hint(tmp_path: Path):
    tensors = {f"module.{name}": value for name, value in made.gptq(made.draws()).items()}
    path = made.written(tmp_path, tensors)
    assert restore(linear(), path).layers[0].name == "0"
    with pytest.raises(UserError) as refused:
        restore(linear(), path, rename={})
    assert "name.removeprefix('module.')" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("names", "called", "nearest"),
    [
        (["0.trellis", "0.suh"], "EXL3", "exl2"),
        (["0.codes", "0.codebooks"], "AQLM", "gptq"),
        (["0.weight", "0.scales", "0.qbiases"], "Metal", "mlx"),
    ],
)
def test_a_checkpoint_that_is_not_read_is_called_by_what_it_looks_like(
    tmp_path: Path, names: list[str], called: str, nearest: str
):
    path = made.written(tmp_path, {name: torch.zeros(2, 2) for name in names})
    for ask in (format_of, read):
        with pytest.raises(UserError, match=f"looks like {called}") as refused:
            ask(path)
        assert nearest in str(refused.value.hint)


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (b"version https://git-lfs.github.com/spec/v1", "a pointer of Git LFS"),
        (b"\x1c\x00\x00\x00ET12 and more of it", "a program of ExecuTorch"),
        (b"<!DOCTYPE html><title>Sign in</title>", "a web page"),
        (b"ggjt" + bytes(20), "a file of llama.cpp from before GGUF"),
    ],
)
def test_a_file_of_an_unknown_kind_is_called_by_what_it_looks_like(tmp_path: Path, start: bytes, words: str):
    (tmp_path / "model.safetensors").write_bytes(start)
    with pytest.raises(UserError, match=f"looks like {words}"):
        format_of(tmp_path / "model.safetensors")


@pytest.mark.parametrize("strategy", ["tensor", "channel", "group", "block"])
def test_fp8_is_read_whatever_shares_a_scale(tmp_path: Path, strategy: str):
    tensors, weight = made.fp8(strategy)
    words = {"num_bits": 8, "type": "float", "strategy": strategy, "symmetric": True}
    words |= {"block_structure": [8, 8]} if strategy == "block" else {}
    group = {
        "targets": ["Linear"],
        "weights": words,
        "input_activations": {"num_bits": 8, "type": "float", "dynamic": True},
    }
    whole = {"quant_method": "compressed-tensors", "format": "float-quantized", "config_groups": {"group_0": group}}
    path = made.written(tmp_path, tensors, whole)
    np.testing.assert_allclose(dequantized(path), weight, rtol=1e-6)
    assert read(path).roundings.keys() == {"0"}
    assert read(path).notes == ()


def test_fp8_with_scales_that_fit_nothing_is_refused(tmp_path: Path):
    tensors, _ = made.fp8("block")
    with pytest.raises(UserError, match=r"scales \[2, 5\] are not read"):
        read(made.written(tmp_path, tensors))


@pytest.mark.parametrize("kind", ["nvfp4", "mxfp4"])
def test_fp4_in_blocks_is_read(tmp_path: Path, kind: str):
    tensors, weight = getattr(made, kind)()
    words = {"quant_method": "compressed-tensors", "format": f"{kind}-pack-quantized"}
    path = made.written(tmp_path, tensors, words)
    np.testing.assert_allclose(dequantized(path), weight, rtol=1e-6)
    bits = read(path).layers[0].bits / weight.size
    assert bits == pytest.approx(4 + 8 / (16 if kind == "nvfp4" else 32), abs=0.04)
    wrong = tensors | {"0.weight_scale": tensors["0.weight_scale"].float()}
    with pytest.raises(UserError, match=r"neither those of MXFP4 nor of NVFP4"):
        read(made.written(tmp_path, wrong, words))
