"""Claims about the methods that look at data: what they minimise, what they see, and what they refuse."""

import library_arrays as make
import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import BRECQ, GPTQ, OBQ, AdaRound, MatchedNoise, Mixed, Quantizer, Uniform
from quantmis.quantizers.calibration import columns, hessian
from quantmis.quantizers.gptq import gptq
from quantmis.quantizers.layerwise import Layerwise, damped, grid_of
from quantmis.quantizers.obq import obq

LAYERWISE: list[Layerwise] = [
    GPTQ(bits=3),
    GPTQ(bits=3, act_order=False),
    OBQ(bits=3),
    AdaRound(bits=3, iterations=200),
]


def problem(rows: int = 12, width: int = 24) -> tuple[nn.Module, torch.Tensor]:
    model = nn.Sequential(nn.Linear(width, rows))
    model[0].weight.data = torch.from_numpy(make.normal(3, rows, width))
    return model, torch.from_numpy(make.correlated(4, 200, width))


def output_error(quantizer: Quantizer, model: nn.Module, inputs: torch.Tensor) -> float:
    quantized = quantizer.quantize(model, calibration=inputs).model
    with torch.no_grad():
        return ((quantized(inputs) - model(inputs)).square().mean() / model(inputs).square().mean()).item()


@pytest.mark.parametrize("quantizer", LAYERWISE, ids=str)
def test_outputs_err_less_than_after_rounding_to_the_nearest(quantizer: Layerwise):
    model, inputs = problem()
    assert output_error(quantizer, model, inputs) < 0.5 * output_error(quantizer.levels(), model, inputs)


def test_greedy_order_errs_no_more_than_a_fixed_one():
    model, inputs = problem(rows=40)
    assert output_error(OBQ(bits=2), model, inputs) < output_error(GPTQ(bits=2, act_order=False), model, inputs)


@pytest.mark.parametrize("bits", [2, 4])
@pytest.mark.parametrize("width", [8, 33, 140])
def test_obq_in_a_fixed_order_is_gptq(width: int, bits: int):
    model, inputs = problem(6, width)
    moment = damped(hessian(model, "0", inputs), 0.01)
    weight = model[0].weight.detach().double()[None]
    grid = grid_of(
        Uniform(bits=bits, per="channel").code("0", [model[0].weight], 0),
        0,
        1,
        (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1),
    )
    assert torch.equal(obq(weight, moment, grid, greedy=False), gptq(weight, moment, grid))


@pytest.mark.parametrize(
    "conv", [nn.Conv1d(6, 4, 3, stride=2, dilation=2), nn.Conv1d(6, 6, 3, groups=3, padding="same")], ids=str
)
def test_columns_times_weights_are_the_outputs_of_a_convolution_in_one_dimension(conv: nn.Module):
    require_products(conv, torch.from_numpy(make.normal(5, 7, 6, 20)))


@pytest.mark.parametrize(
    "conv",
    [
        nn.Conv2d(4, 6, 3, padding=1),
        nn.Conv2d(4, 4, (3, 2), groups=4, stride=(2, 1)),
        nn.Conv2d(4, 6, 3, groups=2, padding=2, padding_mode="circular", dilation=2),
    ],
    ids=str,
)
def test_columns_times_weights_are_the_outputs_of_a_convolution_in_two_dimensions(conv: nn.Module):
    require_products(conv, torch.from_numpy(make.normal(5, 3, 4, 9, 8)))


def require_products(conv: nn.Module, inputs: torch.Tensor) -> None:
    read = columns(conv, inputs)
    weight = conv.weight.flatten(1).unflatten(0, (conv.groups, -1))
    outputs = conv(inputs) - conv.bias.reshape(1, -1, *[1] * (inputs.ndim - 2))
    products = (read @ weight.transpose(1, 2)).permute(1, 0, 2).flatten(1)  # [positions, channels]
    expected = outputs.flatten(2).transpose(1, 2).reshape(-1, conv.out_channels)
    torch.testing.assert_close(products, expected, rtol=1e-4, atol=1e-5)


def test_a_layer_sees_what_the_quantized_layers_before_it_produce():
    model = nn.Sequential(nn.Linear(16, 16, bias=False), nn.Linear(16, 4, bias=False))
    inputs = torch.from_numpy(make.correlated(6, 100, 16))
    whole = GPTQ(bits=2).quantize(model, calibration=inputs)
    with torch.no_grad():
        second = GPTQ(bits=2).quantize(nn.Sequential(model[1]), calibration=whole.model[0](inputs))
    assert torch.equal(whole.layers[1].codes, second.layers[0].codes)


def test_a_layer_that_is_never_called_is_rounded_to_the_nearest():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.spare = nn.Linear(8, 8), nn.Linear(8, 8)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.used(x)

    model = Branching()
    layers = {layer.name: layer for layer in GPTQ(bits=3).quantize(model, calibration=torch.eye(8)).layers}
    nearest = {layer.name: layer for layer in Uniform(bits=3, per="channel").quantize(model).layers}
    assert layers["spare"].digest() == nearest["spare"].digest()


def test_inputs_that_are_always_zero_do_no_harm():
    model, inputs = problem()
    inputs[:, ::2] = 0
    quantized = GPTQ(bits=3, damping=1e-6).quantize(model, calibration=inputs).layers[0]
    nearest = Uniform(bits=3, per="channel").quantize(model).layers[0]
    assert torch.equal(quantized.codes[:, ::2], nearest.codes[:, ::2])


def test_groups_have_scales_of_their_own_in_any_order():
    model, inputs = problem(width=50)
    for act_order in (False, True):
        quantized = GPTQ(bits=3, group_size=16, act_order=act_order).quantize(model, calibration=inputs)
        assert quantized.layers[0].scale.shape == (12, 4)


def test_calibration_on_other_inputs_gives_other_codes():
    model, inputs = problem()
    first = GPTQ(bits=3).quantize(model, calibration=inputs[:20])
    assert first.fingerprint != GPTQ(bits=3).quantize(model, calibration=inputs[20:40]).fingerprint


@pytest.mark.parametrize("quantizer", [GPTQ(), MatchedNoise(of=GPTQ()), Mixed(of=Uniform(bits=2), at=OBQ())], ids=str)
def test_calibration_inputs_must_be_given(quantizer: Quantizer):
    with pytest.raises(UserError, match="looks at data and was given none"):
        quantizer.quantize(nn.Linear(3, 3), generator=torch.Generator())


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (torch.ones(5, 7), r"does not take calibration inputs of shape \[5, 7\]"),
        (torch.ones(0, 24), "empty"),
        (torch.full((5, 24), torch.nan), "NaN or infinite"),
    ],
)
def test_calibration_inputs_that_the_model_cannot_use_are_refused(inputs: torch.Tensor, message: str):
    with pytest.raises(UserError, match=message):
        GPTQ().quantize(problem()[0], calibration=inputs)


def test_obq_refuses_a_layer_that_would_take_hours():
    with pytest.raises(UserError, match="take too long"):
        OBQ().quantize(nn.Linear(4096, 64), calibration=torch.ones(4, 4096))


def test_the_training_mode_of_a_model_is_its_own():
    model = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5)).train()
    quantized = GPTQ().quantize(model, calibration=torch.eye(4))
    assert model.training
    assert quantized.model[1].training
    assert GPTQ().quantize(model, calibration=torch.eye(4)).fingerprint == quantized.fingerprint


class Residual(nn.Module):
    def __init__(self, width: int):
        super().__init__()
        self.one, self.two = nn.Linear(width, width), nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.two(torch.relu(self.one(x)))


def residual() -> tuple[nn.Module, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(16, 24), Residual(24), Residual(24), nn.Linear(24, 4))
    return model, torch.from_numpy(make.correlated(7, 160, 16))


@pytest.mark.slow
@pytest.mark.parametrize("fisher", [True, False])
def test_brecq_errs_less_than_rounding_to_the_nearest(fisher: bool):
    model, inputs = residual()
    learned = BRECQ(bits=2, iterations=200, fisher=fisher)
    assert output_error(learned, model, inputs) < 0.6 * output_error(learned.levels(), model, inputs)


def test_brecq_takes_the_blocks_that_were_named():
    model, inputs = residual()
    quantized = BRECQ(bits=3, iterations=30, blocks="1").quantize(model, calibration=inputs)
    nearest = Uniform(bits=3, per="channel").quantize(model)
    same = [a.digest() == b.digest() for a, b in zip(quantized.layers, nearest.layers, strict=True)]
    assert same == [True, False, False, True, True, True]
    with pytest.raises(UserError, match="is named 'layer4'"):
        BRECQ(blocks="layer4").quantize(model, calibration=inputs)


def test_the_influence_of_an_output_is_its_fisher_information():
    from quantmis.quantizers.blocks import observed

    model, inputs = nn.Sequential(nn.Linear(3, 5)), torch.from_numpy(make.normal(8, 6, 3))
    found = observed(model, ["0"], inputs, fisher=True)["0"].influence
    p = model(inputs).softmax(1).detach()
    torch.testing.assert_close(found, p * (1 - p))  # the variance of a score under the softmax


@pytest.mark.usefixtures("unchecked")
@pytest.mark.parametrize("kind", [GPTQ, OBQ, AdaRound, BRECQ])
def test_parameters_are_refused_in_the_name_of_the_method(kind: type[Quantizer]):
    with pytest.raises(UserError, match=f"{kind.name}: bits must lie between 2 and 8, got 1"):
        kind(bits=1)
    with pytest.raises(UserError, match=f"{kind.name}: per must be"):
        kind(per="row")


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [(0, 1, 2)])
def test_brecq_makes_of_many_models_what_it_makes_of_each(seeds: tuple[int, ...]):
    models, inputs = [], []
    for seed in seeds:
        model, seen = residual()
        for value in model.parameters():
            value.data.add_(torch.from_numpy(make.normal(seed, *value.shape)) / 10)
        models.append(model)
        inputs.append(seen + seed)
    together = BRECQ(bits=2, iterations=60).quantize_many(models, inputs)
    for model, seen, found in zip(models, inputs, together, strict=True):
        assert BRECQ(bits=2, iterations=60).quantize(model, calibration=seen).fingerprint == found.fingerprint
