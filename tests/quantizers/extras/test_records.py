"""What a library computes is compared with its own record: codes times scales, layer by layer."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, Uniform
from quantmis.quantizers.base import Change, Quantizer

pytestmark = pytest.mark.filterwarnings("ignore")


def model(inputs: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(inputs, 48), nn.ReLU(), nn.Linear(48, 5))


def off(quantized: object, inputs: int) -> float:
    """Return how far outputs are from those of NumPy with the recorded weights, of their own size."""
    x = torch.randn(32, inputs, generator=torch.Generator().manual_seed(1))
    first, last = ((layer.dequantize().numpy()) for layer in quantized.layers)
    biases = [each.detach().numpy() for name, each in model(inputs).named_parameters() if name.endswith("bias")]
    expected = (x.numpy() @ first.T + biases[0]).clip(0) @ last.T + biases[1]
    with torch.no_grad():
        outputs = quantized.model.eval()(x).numpy()
    return float(((outputs - expected) ** 2).sum() ** 0.5 / (expected**2).sum() ** 0.5)


@pytest.mark.parametrize("inputs", [16, 32, 48, 64, 96, 200])
@pytest.mark.parametrize(
    "spelled", ["bitsandbytes.linear4bit", "torchao.int8_weight_only", "hqq(bits=4, group_size=8)"]
)
def test_outputs_are_those_of_the_record_at_every_width(spelled: str, inputs: int):
    assert off(QUANTIZERS.parse(spelled).quantize(model(inputs)), inputs) < 1e-4


def test_four_bits_are_computed_from_the_record_where_the_kernel_takes_wrong_scales(monkeypatch: pytest.MonkeyPatch):
    from bitsandbytes import functional
    from bitsandbytes.nn import modules

    def wrong(x, weight, bias=None, quant_state=None):
        """Take the scales of other blocks where rows do not divide into them, as a kernel of 0.50 does."""
        whole = functional.dequantize_4bit(weight.data, quant_state)
        if x.shape[1] % quant_state.blocksize:
            whole = whole * quant_state.absmax.flip(0).repeat_interleave(64)[: whole.numel()].reshape(whole.shape)
        return nn.functional.linear(x, whole, bias)

    monkeypatch.setattr(modules.bnb, "matmul_4bit", wrong)
    for inputs in (16, 48, 64, 96):
        quantized = QUANTIZERS.parse("bitsandbytes.linear4bit").quantize(model(inputs))
        assert off(quantized, inputs) < 1e-5
        assert (type(quantized.model[0]) is nn.Linear) == (inputs != 64)


class Hidden(nn.Module):
    """A layer of a library's own that computes with `scale` times the weight."""

    def __init__(self, old: nn.Linear, weight: torch.Tensor, scale: float):
        super().__init__()
        self.hidden, self.bias = [weight * scale], old.bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.hidden[0], self.bias)


@dataclass(frozen=True)
class Library(Quantizer):
    """Record four bits in both layers and compute the second with a scale that is off."""

    scale: float
    name: ClassVar[str] = "library"

    def apply(self, models, calibration, generators):
        return [self._one(each) for each in models]

    def _one(self, given: nn.Module) -> Change:
        layers = Uniform(bits=4).quantize(given).layers
        parts = [Hidden(given[0], layers[0].dequantize(), 1.0), nn.ReLU()]
        return Change(nn.Sequential(*parts, Hidden(given[2], layers[1].dequantize(), self.scale)), layers)


@pytest.mark.usefixtures("unchecked")
def test_one_layer_that_is_off_by_a_twentieth_is_named():
    assert Library(1.0).quantize(model(16)).layers
    with pytest.raises(UserError, match=r"2 does not compute with the weights of its record: outputs are off by 0\.05"):
        Library(1.05).quantize(model(16))


class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(64, 64), nn.Linear(64, 64, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(torch.relu(self.embedding(x).mean(1)))


@pytest.mark.slow
@pytest.mark.parametrize("spelled", ["brevitas(bits=4)", "onnx.matmul_nbits"])
def test_an_embedding_that_shares_the_weight_of_a_quantized_head_stays_as_it_is(spelled: str):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        tied = Tied()
    x = torch.randint(0, 64, (8, 5), generator=torch.Generator().manual_seed(1))
    quantized = QUANTIZERS.parse(spelled).quantize(tied, x)
    assert [layer.name for layer in quantized.layers] == ["head"]
    hidden = torch.relu(tied.embedding(x).mean(1)).detach()
    with torch.no_grad():
        torch.testing.assert_close(
            quantized.model(x), hidden @ quantized.layers[0].dequantize().T, atol=1e-4, rtol=1e-3
        )


def clipped_nowhere(quantized: object, x: torch.Tensor) -> np.ndarray:
    """Return the outputs that dynamic int8 stands for, in exact arithmetic: activations of a sample in 256 levels."""
    biases = [each.detach().double().numpy() for name, each in model(64).named_parameters() if name.endswith("bias")]
    first, last = (layer.dequantize().double().numpy() for layer in quantized.layers)
    return np.stack([_rounded(_rounded(row, first, biases[0]).clip(0), last, biases[1]) for row in x.numpy()])


def _rounded(row: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    low, high = min(row.min(), 0.0), max(row.max(), 0.0)
    scale = np.float32((high - low) / 255)
    zero = np.round(-low / scale)
    codes = np.clip(np.round(row / scale) + zero, 0, 255)
    return (codes - zero) * float(scale) @ weight.T + bias


@pytest.mark.slow
@pytest.mark.parametrize("spelled", ["onnx.dynamic", 'onnx.dynamic(per="channel")'])
def test_sums_of_onnx_runtime_are_clipped_on_no_processor(spelled: str):
    x = torch.rand(32, 64, generator=torch.Generator().manual_seed(1))  # all positive: the sums are large
    quantized = QUANTIZERS.parse(spelled).quantize(model(64), x)
    outputs = torch.cat([quantized.model(row) for row in x.split(1)]).double().numpy()
    expected = clipped_nowhere(quantized, x)
    assert np.linalg.norm(outputs - expected) < 1e-5 * np.linalg.norm(expected)
