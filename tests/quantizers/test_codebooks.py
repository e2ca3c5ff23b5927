"""Claims about the quantizers that look at weights alone: known answers and optima."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import (
    QUANTIZERS,
    Codebook,
    Identity,
    KMeans,
    MatchedNoise,
    Mixed,
    NormalFloat,
    Sign,
    StochasticRounding,
    Ternary,
    Uniform,
)

CODEBOOKS: list[Codebook] = [
    Sign(),
    Sign(per="channel"),
    Ternary(sparsity=0.33),
    Ternary(sparsity=0.9, per="channel"),
    *(Uniform(bits=bits) for bits in (2, 3, 4, 8)),
    Uniform(bits=2, per="channel"),
    Uniform(bits=4, per="channel", symmetric=False),
]


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Embedding(7, 6), nn.Flatten(), nn.Linear(12, 8), nn.Unflatten(1, (2, 4)), nn.Conv1d(2, 3, 2), nn.LayerNorm(3)
    )


def rows_of(quantizer: Codebook, weight: torch.Tensor) -> torch.Tensor:
    return weight if quantizer.per == "channel" else weight.reshape(1, -1)


@pytest.mark.parametrize("quantizer", CODEBOOKS, ids=str)
def test_the_scale_is_the_least_squares_optimum_of_its_codes(quantizer: Codebook):
    weight = torch.randn(20, 30, generator=torch.Generator().manual_seed(1))
    rows = rows_of(quantizer, weight)
    coded = quantizer.encode(rows)
    zero = torch.zeros(len(rows)) if coded.zero_point is None else coded.zero_point
    for row, code, found, start in zip(rows, coded.codes, coded.scale, zero, strict=True):
        best = minimize_scalar(lambda s, row=row, code=code - start: ((row - s * code) ** 2).sum().item())
        assert found.item() == pytest.approx(best.x, rel=2e-3)


@pytest.mark.parametrize("bits", [2, 3, 4])
def test_no_scale_of_a_fine_grid_rounds_better(bits: int):
    weight = torch.randn(1, 4000, generator=torch.Generator().manual_seed(2))
    quantizer = Uniform(bits=bits)
    coded = quantizer.encode(weight)
    found = (weight - coded.codes * coded.scale).square().sum()
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


@pytest.mark.parametrize("symmetric", [True, False])
def test_more_bits_err_less(symmetric: bool):
    weight = torch.randn(30, 30, generator=torch.Generator().manual_seed(3))
    errors = []
    for bits in range(2, 9):
        layer = Uniform(bits=bits, symmetric=symmetric).code("fc", [weight], 0)[0]
        errors.append((weight - layer.dequantize()).square().sum().item())
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


@pytest.mark.parametrize("per", ["tensor", "channel"])
def test_finer_scales_err_less(per: str):
    weight = torch.randn(12, 64, generator=torch.Generator().manual_seed(4)) * torch.arange(1, 13)[:, None]

    def error(finer: str) -> float:
        layer = Uniform(bits=3, per=finer.removesuffix("s"), group_size=16 if finer == "channels" else None).code(
            "fc", [weight], 0
        )[0]
        return (weight - layer.dequantize()).square().sum().item()

    assert error({"tensor": "channel", "channel": "channels"}[per]) < error(per)


@pytest.mark.parametrize("size", [1, 3, 5, 8, 11])
@pytest.mark.parametrize("per", ["channel", "tensor"])
def test_each_group_is_coded_as_if_it_were_alone(per: str, size: int):
    weight = torch.randn(3, 8, generator=torch.Generator().manual_seed(5))
    layer = Uniform(bits=3, per=per, group_size=size).code("fc", [weight], 0)[0]
    rows = weight if per == "channel" else weight.reshape(1, -1)
    for row, back in zip(rows, layer.dequantize().reshape(rows.shape), strict=True):
        for group, found in zip(row.split(size), back.split(size), strict=True):
            coded = Uniform(bits=3).encode(group[None])
            assert torch.equal((coded.codes * coded.scale)[0], found)


def test_an_asymmetric_range_serves_weights_that_are_all_positive():
    weight = torch.rand(6, 50, generator=torch.Generator().manual_seed(6))
    errors = [
        (weight - Uniform(bits=3, symmetric=symmetric).code("fc", [weight], 0)[0].dequantize()).square().sum()
        for symmetric in (False, True)
    ]
    assert errors[0] < 0.4 * errors[1]


def test_a_percentile_cuts_the_outlier_that_max_reaches():
    weight = torch.cat([torch.linspace(-1, 1, 999), torch.tensor([100.0])])[None]
    reach = {
        word: (coded := Uniform(bits=4, range=word, percentile=99).encode(weight)).scale.item() * 7.5
        for word in ("max", "percentile")
    }
    assert reach["max"] == pytest.approx(100)
    assert reach["percentile"] == pytest.approx(0.99, abs=0.01)
    assert coded.levels == 16


def test_two_narrow_bits_are_three_levels():
    layer = Uniform(bits=2, narrow=True).code("fc", [torch.randn(9, 9, generator=torch.Generator().manual_seed(7))], 0)[
        0
    ]
    assert (layer.levels, sorted(layer.codes.unique().tolist())) == (3, [-1, 0, 1])


def test_k_means_finds_clusters_that_are_there():
    centres = torch.tensor([-5.0, -1.0, 0.5, 7.0])
    weight = centres.repeat(40) + 0.01 * torch.randn(160, generator=torch.Generator().manual_seed(8))
    coded = KMeans(bits=2).encode(weight[None])
    assert (coded.codebook * coded.scale)[0].tolist() == pytest.approx(centres.tolist(), abs=0.01)
    assert coded.codes[0].tolist() == [0, 1, 2, 3] * 40


def test_k_means_errs_no_more_than_even_levels():
    weight = torch.randn(30, 30, generator=torch.Generator().manual_seed(9))
    error = {
        each: (weight - each.code("fc", [weight], 0)[0].dequantize()).square().sum()
        for each in (KMeans(bits=3), Uniform(bits=3), NormalFloat(bits=3, per="tensor"))
    }
    assert min(error, key=error.__getitem__) == KMeans(bits=3)


@pytest.mark.slow
def test_stochastic_rounding_is_right_on_average_and_never_off_by_a_level():
    model = nn.Linear(30, 20, bias=False)
    draws = [
        StochasticRounding(bits=3).quantize(model, generator=torch.Generator().manual_seed(seed)).layers[0]
        for seed in range(150)
    ]
    scale = draws[0].scale.item()
    backs = torch.stack([layer.dequantize() for layer in draws])
    inside = model.weight.abs() < 3 * scale  # the largest weights lie beyond the last level
    assert (backs - model.weight).abs()[:, inside].max() <= scale * 1.0001
    assert (backs.mean(0) - model.weight)[inside].abs().max() < 5 * scale * 0.5 / 150**0.5
    assert len({layer.digest() for layer in draws}) == 150


@pytest.mark.parametrize("of", [Sign(), Uniform(bits=4, per="channel")], ids=str)
def test_matched_noise_has_the_size_of_the_error_and_none_of_its_direction(of: Codebook):
    model = nn.Sequential(nn.Linear(40, 50), nn.ReLU(), nn.Linear(50, 30))
    noisy = MatchedNoise(of=of).quantize(model, generator=torch.Generator().manual_seed(0)).model
    rounded = of.quantize(model).model
    for index in (0, 2):
        noise, error = noisy[index].weight - model[index].weight, rounded[index].weight - model[index].weight
        assert noise.norm().item() == pytest.approx(error.norm().item(), rel=1e-4)
        assert abs(torch.cosine_similarity(noise.flatten(), error.flatten(), dim=0).item()) < 0.12


def test_mixed_takes_each_layer_from_the_method_that_was_named_for_it():
    model = nn.Sequential(nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 2))
    quantized = Mixed(of=Uniform(bits=2), at=Uniform(bits=8), layers="2, first").quantize(model)
    assert [layer.levels for layer in quantized.layers] == [256, 4, 256]
    kept = Mixed(of=Uniform(bits=2), at=Identity(), layers="last").quantize(model)
    assert kept.untouched == ("2",)
    assert torch.equal(kept.model[2].weight, model[2].weight)
    with pytest.raises(UserError, match="no layer is named 'head'"):
        Mixed(of=Sign(), at=Identity(), layers="head").quantize(model)


class Conv1D(nn.Module):
    """The linear layer of GPT-2, whose weight is [inputs, outputs]; transformers' own is called like this."""

    def __init__(self, nf: int, nx: int):
        super().__init__()
        self.nf = nf
        self.weight = nn.Parameter(torch.randn(nx, nf, generator=torch.Generator().manual_seed(0)))
        self.bias = nn.Parameter(torch.zeros(nf))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.weight + self.bias


@pytest.mark.parametrize("per", ["tensor", "channel"])
@pytest.mark.parametrize("size", [None, 4])
def test_a_transposed_linear_layer_is_coded_like_the_plain_one(per: str, size: int | None):
    there, plain = Conv1D(5, 12), nn.Linear(12, 5)
    plain.weight.data = there.weight.detach().T.contiguous()
    quantizer = Uniform(bits=3, per=per, group_size=size if per == "channel" else None)
    assert torch.equal(quantizer.quantize(there).model.weight, quantizer.quantize(plain).model.weight.T)


def test_a_convolution_is_coded_like_its_matrix_of_kernels():
    conv = nn.Conv2d(6, 4, 3, groups=2)
    flat = nn.Linear(27, 4)
    flat.weight.data = conv.weight.detach().flatten(1)
    quantizer = Uniform(bits=3, per="channel")
    assert torch.equal(quantizer.quantize(conv).model.weight.flatten(1), quantizer.quantize(flat).model.weight)


def test_half_precision_models_keep_their_format():
    model = nn.Linear(8, 8).to(torch.bfloat16)
    quantized = Uniform(bits=4).quantize(model)
    assert quantized.model.weight.dtype == torch.bfloat16


@pytest.mark.parametrize(
    "spelled",
    [
        *("uniform(bits=1)", "uniform(bits=9)", 'uniform(bits=4, per="row")', "uniform(bits=4, group_size=0)"),
        *('uniform(bits=4, range="best")', "uniform(bits=4, percentile=0)", "ternary(sparsity=1)", "k_means(bits=0)"),
        *("normal_float(bits=1)", "stochastic_rounding(bits=1)", "matched_noise(of=identity)", "sign(per=4)"),
        *("mixed(of=identity, at=sign)", "mixed(of=sign)", "hqq(bits=3)", "hqq(group_size=12)", "brevitas(bits=1)"),
        *('gguf(format="Q9_K")', "torchao.intx(bits=1)", 'brevitas(method="best")', "mixed(of=gguf, at=sign)"),
        *("gptq(bits=1)", "gptq(damping=0)", "obq(bits=9)", "adaround(iterations=0)", "brecq(iterations=0)"),
    ],
)
def test_a_parameter_out_of_range_is_refused(spelled: str):
    with pytest.raises(UserError):
        QUANTIZERS.parse(spelled)
