"""A forward that works in place computes what its out-of-place twin does, and the user's inputs stay as they are."""

import pytest
import torch
from torch import Tensor, nn

from quantmis.quantizers import QUANTIZERS
from quantmis.quantizers.probe import require_computes


class Shifting(nn.Module):
    """Subtract 2 from the inputs, and again within the block, in place or not."""

    def __init__(self, in_place: bool):
        super().__init__()
        self.in_place = in_place
        self.first, self.last = Block(in_place), nn.Linear(24, 3)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x.sub_(2.0) if self.in_place else x - 2.0)
        return self.last(hidden.relu_() if self.in_place else hidden.relu())


class Block(nn.Module):
    def __init__(self, in_place: bool):
        super().__init__()
        self.in_place, self.fc = in_place, nn.Linear(16, 24)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x.mul_(0.5) if self.in_place else x * 0.5)


def twins() -> tuple[nn.Module, nn.Module, Tensor]:
    stream = torch.Generator().manual_seed(0)
    one, other = Shifting(in_place=True), Shifting(in_place=False)
    for value in one.parameters():
        value.data = torch.randn(value.shape, generator=stream) / 4
    other.load_state_dict(one.state_dict())
    return one, other, torch.randn(320, 16, generator=stream)  # more than a chunk


SPELLED = ["gptq(bits=3)", "obq(bits=3)", "adaround(bits=3, iterations=20)", "brecq(bits=3, iterations=20)"]


@pytest.mark.slow
@pytest.mark.parametrize("spelled", SPELLED)
def test_a_calibrated_method_makes_the_same_of_a_forward_in_place(spelled: str):
    one, other, x = twins()
    before, quantizer = x.clone(), QUANTIZERS.parse(spelled)
    made = quantizer.quantize(one, x)
    assert torch.equal(x, before)
    assert made.fingerprint == quantizer.quantize(other, x).fingerprint
    require_computes(spelled, one, made, x)
    assert torch.equal(x, before)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("spelled", ["brevitas(bits=4)", "onnx.dynamic"])
def test_a_library_does_too(spelled: str):
    one, other, x = twins()
    before, quantizer = x.clone(), QUANTIZERS.parse(spelled)
    made, twin = quantizer.quantize(one, x), quantizer.quantize(other, x)
    assert torch.equal(x, before)
    assert [layer.digest() for layer in made.layers] == [layer.digest() for layer in twin.layers]
