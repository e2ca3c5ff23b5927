"""Codes equal to those of other implementations, stored in data/ as made by tests/helpers/library_arrays.py.

torchao 0.18.0, bitsandbytes 0.50.2, brevitas 0.13.4 and gguf 0.19.0, with torch 2.13.0.
"""

from functools import cache

import library_arrays as make
import numpy as np
import pytest
import torch

from quantmis.errors import UserError
from quantmis.quantizers import GPTQ, KMeans, Minifloat, NormalFloat, Sign, Uniform
from quantmis.quantizers.formats.ggml import BLOCKS, decode
from quantmis.quantizers.formats.k_quants import SUB_BLOCKS
from quantmis.quantizers.minifloat import levels_of
from quantmis.quantizers.record import QuantizedLayer


@cache
def made(library: str) -> dict[str, np.ndarray]:
    with np.load(make.HERE / f"{library}.npz", allow_pickle=False) as file:
        return dict(file)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("per", ["channel", "group"])
@pytest.mark.parametrize("mapping", ["symmetric", "asymmetric"])
def test_uniform_codes_are_those_of_torchao(bits: int, per: str, mapping: str):
    size = 32 if per == "group" else None
    quantizer = Uniform(bits=bits, per="channel", group_size=size, range="max", symmetric=mapping == "symmetric")
    layer = quantizer.code("fc", [torch.from_numpy(make.normal(0, 16, 64))], 0)[0]
    theirs = {part: made("torchao")[f"{mapping}.{per}.{bits}.{part}"] for part in ("qdata", "scale", "zero_point")}
    assert np.array_equal(layer.codes.numpy(), theirs["qdata"])
    assert np.array_equal(layer.scale.numpy(), theirs["scale"])
    zero = torch.zeros_like(layer.scale) if layer.zero_point is None else layer.zero_point
    assert np.array_equal(zero.numpy(), theirs["zero_point"])


def test_int8_codes_are_those_of_torchao():
    layer = Uniform(bits=8, per="channel", range="max").code("fc", [torch.from_numpy(make.normal(0, 16, 64))], 0)[0]
    assert np.array_equal(layer.codes.numpy(), made("torchao")["int8.qdata"])


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_sign_is_the_one_bit_quantizer_of_parq(per: str):
    layer = Sign(per=per).code("fc", [torch.from_numpy(make.normal(0, 16, 64))], 0)[0]
    assert layer.dequantize().numpy() == pytest.approx(made("parq")[f"lsbq.1.{per}"], rel=1e-5)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_narrow_uniform_levels_up_to_the_largest_weight_are_those_of_parq(per: str, bits: int):
    quantizer = Uniform(bits=bits, per=per, range="max", narrow=True)
    layer = quantizer.code("fc", [torch.from_numpy(make.normal(0, 16, 64))], 0)[0]
    assert layer.dequantize().numpy() == pytest.approx(made("parq")[f"max.{bits}.{per}"], rel=1e-5, abs=1e-6)


def test_four_free_levels_err_no_more_than_the_best_that_parq_builds_of_two_signs():
    weight = torch.from_numpy(make.normal(0, 16, 64))
    ours = KMeans(bits=2).code("fc", [weight], 0)[0].dequantize() - weight
    theirs = torch.from_numpy(made("parq")["lsbq.2.tensor"]) - weight
    assert 0.99 * theirs.square().mean() < ours.square().mean() <= theirs.square().mean()


@pytest.mark.parametrize("columns", [64, 77])
def test_normal_float_is_the_nf4_of_bitsandbytes_bit_for_bit(columns: int):
    layer = NormalFloat().code("fc", [torch.from_numpy(make.normal(columns, 8, columns))], 0)[0]
    theirs = {part: made("bitsandbytes")[f"{columns}.{part}"] for part in ("codes", "absmax", "weight")}
    assert np.array_equal(layer.codes.numpy().ravel(), theirs["codes"])
    assert np.array_equal(layer.scale.numpy().ravel(), theirs["absmax"])
    assert np.array_equal(layer.dequantize().numpy(), theirs["weight"])


@pytest.mark.parametrize(("format", "kind"), [("e4m3", torch.float8_e4m3fn), ("e5m2", torch.float8_e5m2)])
@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_minifloats_of_eight_bits_are_those_of_torch(format: str, kind: torch.dtype, per: str):
    weight = torch.from_numpy(make.normal(1, 32, 257)) * 3
    layer = Minifloat(format=format, per=per).code("fc", [weight], 0)[0]
    largest = weight.abs().amax(*((1,) if per == "channel" else ()), keepdim=per == "channel")
    scale = largest / torch.finfo(kind).max
    assert torch.equal(layer.dequantize(), (weight / scale).to(kind).float() * scale)


def test_ties_between_minifloats_go_to_the_even_fraction_as_torch_rounds():
    levels = torch.arange(256, dtype=torch.uint8).view(torch.float8_e4m3fn).float()
    levels = levels[levels.isfinite()].unique()
    ties = torch.cat([(levels[:-1] + levels[1:]) / 2, torch.tensor([448.0])])
    coded = Minifloat().encode(ties[None])
    assert coded.codebook is not None
    assert torch.equal(coded.codebook[coded.codes.long()][0], ties.to(torch.float8_e4m3fn).float())


@pytest.mark.parametrize(("format", "expected"), [("e3m2", 28.0), ("e2m3", 7.5), ("e2m1", 6.0)])
def test_minifloats_of_few_bits_have_the_numbers_of_their_formats(format: str, expected: float):
    """Sign, exponent and fraction of every code, as the OCP specification of microscaling formats puts it together."""
    exponents, fractions = int(format[1]), int(format[3])
    bias = 2 ** (exponents - 1) - 1
    numbers = {
        sign * (fraction / 2**fractions + (exponent > 0)) * 2.0 ** (max(exponent, 1) - bias)
        for sign in (-1, 1)
        for exponent in range(2**exponents)
        for fraction in range(2**fractions)
    }
    assert levels_of(format).tolist() == sorted(numbers)
    assert max(numbers) == expected


@pytest.mark.parametrize("order", [False, True])
@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize(("width", "kernel"), [(64, None), (144, None), (512, None), (16, 3)])
def test_gptq_chooses_the_codes_of_brevitas_on_its_levels(width: int, kernel: int | None, bits: int, order: bool):
    model, inputs = make.layer_and_inputs(width, kernel)
    ours = GPTQ(bits=bits, act_order=order, range="max", narrow=True).quantize(model, calibration=inputs).layers[0]
    theirs = {part: made("brevitas")[f"{width}.{kernel}.{bits}.{order}.{part}"] for part in ("codes", "scale")}
    assert ours.scale.numpy().ravel() == pytest.approx(theirs["scale"].ravel(), rel=1e-6)
    share = (ours.codes.numpy() == theirs["codes"]).mean()
    assert share == 1 if width <= 144 else share >= 0.999  # theirs works in single precision


def as_gguf_reads(file: str, kind: str) -> tuple[QuantizedLayer, int]:
    """Return what we read in bytes of ggml, if gguf reads the same, and how many bytes they are."""
    theirs = {part: made(file)[f"{kind}.{part}"] for part in ("bytes", "weight")}
    layer = decode("fc", theirs["bytes"], kind, torch.Size(theirs["weight"].shape))
    assert np.array_equal(layer.dequantize().numpy(), theirs["weight"])
    assert layer.levels_used <= layer.levels
    return layer, theirs["bytes"].size


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_bytes_of_ggml_mean_what_gguf_says(kind: str):
    as_gguf_reads("gguf", kind)


@pytest.mark.parametrize("kind", SUB_BLOCKS)
def test_the_bytes_of_k_quants_mean_what_gguf_says(kind: str):
    layer, size = as_gguf_reads("k_quants", kind)
    assert layer.bits == pytest.approx(8 * size)


def test_bytes_that_do_not_fill_the_shape_are_refused():
    with pytest.raises(UserError, match="do not hold weights"):
        decode("fc", made("gguf")["Q4_0.bytes"][:, :-18], "Q4_0", torch.Size((4, 512)))
