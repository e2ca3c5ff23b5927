"""Claims about the codebook quantizers; `contracts` run on every registered quantizer that needs no data."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, Codebook, Identity, Quantizer, Sign, Ternary, Uniform

CODEBOOKS: list[Codebook] = [
    Sign(),
    Ternary(sparsity=0.33),
    Ternary(sparsity=0.9),
    *(Uniform(bits=bits) for bits in (2, 3, 4, 8)),
    Uniform(bits=2, per="channel"),
    Uniform(bits=4, per="channel"),
]
ALL: list[Quantizer] = [Identity(), *CODEBOOKS]


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(7, 6), nn.Flatten(), nn.Linear(12, 8), nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 3, 2), nn.LayerNorm(3)
    )


@pytest.mark.parametrize("quantizer", ALL, ids=str)
def test_the_model_given_stays_as_it_is(quantizer: Quantizer):
    model = small()
    before = copy.deepcopy(model.state_dict())
    quantizer.quantize(model)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("quantizer", CODEBOOKS, ids=str)
def test_the_model_computes_with_codes_times_scales_and_keeps_everything_else(quantizer: Codebook):
    model = small()
    quantized = quantizer.quantize(model)
    coded = {f"{layer.name}.weight": layer for layer in quantized.layers}
    assert set(coded) == {"0.weight", "2.weight", "4.weight"}
    for name, value in quantized.model.state_dict().items():
        expected = coded[name].dequantize() if name in coded else model.state_dict()[name]
        assert torch.equal(value, expected)
        assert name not in coded or not torch.equal(value, model.state_dict()[name])
    assert quantized.untouched == ()


@pytest.mark.parametrize("quantizer", CODEBOOKS, ids=str)
def test_codes_stay_within_their_levels(quantizer: Codebook):
    for layer in quantizer.quantize(small()).layers:
        assert len(torch.unique(layer.codes)) <= layer.levels
        assert layer.codes.dtype == torch.int8


@pytest.mark.parametrize("quantizer", ALL, ids=str)
def test_equal_models_have_equal_fingerprints_and_others_do_not(quantizer: Quantizer):
    first, second = small(), small()
    assert quantizer.quantize(first).fingerprint == quantizer.quantize(second).fingerprint
    with torch.no_grad():
        second[2].bias[0] += 1  # a layer's bias is part of the model too
    assert quantizer.quantize(first).fingerprint != quantizer.quantize(second).fingerprint


@pytest.mark.parametrize("quantizer", CODEBOOKS, ids=str)
def test_the_scale_is_the_least_squares_optimum_of_its_codes(quantizer: Codebook):
    weight = torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    codes, scale, _ = quantizer.encode(weight)
    rows = (weight, codes) if len(scale) > 1 else (weight.reshape(1, -1), codes.reshape(1, -1))
    for row, code, found in zip(*rows, scale, strict=True):
        best = minimize_scalar(lambda s, row=row, code=code: ((row - s * code) ** 2).sum().item())
        assert found.item() == pytest.approx(best.x, rel=2e-3)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_no_scale_of_a_fine_grid_rounds_better(bits: int):
    weight = torch.randn(1, 4000, generator=torch.Generator().manual_seed(2))
    quantizer = Uniform(bits=bits)
    codes, scale, _ = quantizer.encode(weight)
    found = (weight - codes * scale).square().sum()
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    grid = torch.linspace(0.02, 2, 2000)[:, None]
    errors = (weight - grid * (weight / grid).round().clamp(low, high)).square().sum(1)
    assert found <= errors.min() * 1.005


@given(st.floats(0, 0.99), st.integers(1, 40))
def test_ternary_has_exactly_the_zeros_asked_for(sparsity: float, size: int):
    weight = torch.ones(1, size)  # all magnitudes tie
    codes = Ternary(sparsity=sparsity).encode(weight).codes
    assert int((codes == 0).sum()) == round(sparsity * size) or size == round(sparsity * size)


def test_bits_per_weight_count_the_scales():
    model = nn.Linear(10, 20, bias=False)
    assert Sign().quantize(model).bits_per_weight == pytest.approx(1 + 32 / 200)
    assert Uniform(bits=4).quantize(model).bits_per_weight == pytest.approx(4 + 32 / 200)
    assert Uniform(bits=4, per="channel").quantize(model).bits_per_weight == pytest.approx(4 + 20 * 32 / 200)
    assert Ternary(sparsity=0.5).quantize(model).bits_per_weight == pytest.approx(np.log2(3) + 32 / 200)
    assert Identity().quantize(model).bits_per_weight == 32
    assert Identity().quantize(model.double()).bits_per_weight == 64


def test_sparsity_is_what_was_measured():
    weight = nn.Linear(10, 20, bias=False)
    assert Ternary(sparsity=0.33).quantize(weight).sparsity == 66 / 200
    assert Sign().quantize(weight).sparsity == 0


def test_a_weight_shared_by_two_layers_is_quantized_once():
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = model[0].weight
    quantized = Uniform(bits=2).quantize(model)
    assert [layer.name for layer in quantized.layers] == ["0"]
    assert quantized.model[0].weight is quantized.model[1].weight
    assert quantized.untouched == ()


def test_a_layer_of_another_kind_is_listed_as_untouched():
    model = nn.Sequential(nn.Linear(4, 4), nn.Bilinear(4, 4, 2))
    assert Sign().quantize(model).untouched == ("1",)


def test_more_bits_err_less():
    weight = torch.randn(30, 30, generator=torch.Generator().manual_seed(3))
    errors = []
    for bits in range(2, 9):
        codes, scale, _ = Uniform(bits=bits).encode(weight)
        errors.append((weight - codes * scale).square().sum().item())
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("quantizer", CODEBOOKS, ids=str)
@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_a_constant_layer_stays_finite(quantizer: Codebook, value: float):
    model = nn.Linear(5, 5)
    nn.init.constant_(model.weight, value)
    assert torch.isfinite(quantizer.quantize(model).model.weight).all()


@pytest.mark.parametrize("quantizer", CODEBOOKS, ids=str)
def test_a_model_without_weights_to_quantize_is_refused(quantizer: Codebook):
    with pytest.raises(UserError, match="no Linear, Conv or Embedding layer"):
        quantizer.quantize(nn.LayerNorm(3))


def test_weights_that_are_no_numbers_are_refused():
    model = nn.Linear(3, 3)
    with torch.no_grad():
        model.weight[0, 0] = torch.nan
    with pytest.raises(UserError, match="NaN or infinite"):
        Sign().quantize(model)


def test_every_registered_codebook_is_under_contract():
    assert {type(quantizer).name for quantizer in ALL} == set(QUANTIZERS.names())
