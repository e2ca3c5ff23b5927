"""Quantized models are run before anything is trained, and must compute with what they record."""

from dataclasses import dataclass
from typing import ClassVar

import pytest
import torch
from torch import nn

import quantmis as qm
from quantmis.errors import UserError
from quantmis.quantizers import QUANTIZERS, MatchedNoise, Quantized, Sign, Uniform
from quantmis.quantizers.base import Change, Quantizer
from quantmis.quantizers.probe import require_computes
from quantmis.quantizers.record import QuantizedLayer

X = torch.linspace(-1, 1, 40).reshape(8, 5)


class Own(nn.Module):
    """A layer of a plug-in's own, which keeps its weight where nobody looks."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor):
        super().__init__()
        self.hidden, self.bias = [weight], bias

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x @ self.hidden[0].T + self.bias


@dataclass(frozen=True)
class Plugin(Quantizer):
    """Record the codes of sign, and compute with what `does` says."""

    does: str
    name: ClassVar[str] = "plugin"

    def apply(self, models, calibration, generators):
        return [self._one(model) for model in models]

    def _one(self, model: nn.Module) -> Change:
        layer: QuantizedLayer = Sign().quantize(model).layers[0]
        weight = model[0].weight.detach().clone()
        used = {"record": layer.dequantize(), "before": weight, "other": 50 * weight.flip(0)}[self.does]
        return Change(nn.Sequential(Own(used, model[0].bias.detach())), (layer,))


def small() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(5, 4))


@pytest.mark.usefixtures("unchecked")
def test_a_plug_in_that_records_codes_and_computes_with_the_weights_before_is_refused():
    require_computes("plugin", small(), Plugin("record").quantize(small()), X)
    with pytest.raises(UserError, match="computes with the weights that it had before"):
        require_computes("plugin", small(), Plugin("before").quantize(small()), X)
    with pytest.raises(UserError, match="does not compute with the weights of its record"):
        require_computes("plugin", small(), Plugin("other").quantize(small()), X)


@pytest.mark.usefixtures("unchecked")
def test_an_audit_refuses_it_before_training():
    task = qm.Task(small, recipe=qm.Recipe(epochs=10**6))
    samples = qm.Samples(torch.randn(60, 5).numpy(), [0, 1, 2] * 20)
    with pytest.raises(UserError, match="computes with the weights that it had before"):
        qm.audit(task, samples, quantizers=[Plugin("before")], shadows=8, progress=False)


@dataclass(frozen=True)
class Fickle(Quantizer):
    """Draw from the global stream."""

    name: ClassVar[str] = "fickle"

    def apply(self, models, calibration, generators):
        for model in models:
            model[0].weight.data.add_(torch.randn(model[0].weight.shape))
        return Sign().apply(models, calibration, generators)


@pytest.mark.usefixtures("unchecked")
def test_a_plug_in_that_makes_two_things_of_one_seed_is_refused_before_training():
    task = qm.Task(small, recipe=qm.Recipe(epochs=10**6))
    samples = qm.Samples(torch.randn(60, 5).numpy(), [0, 1, 2] * 20)
    with pytest.raises(UserError, match="made two things of one model and one seed"):
        qm.audit(task, samples, quantizers=[Fickle()], shadows=8, progress=False)


def test_a_quantized_model_that_does_not_run_is_refused_with_what_it_said():
    made = Sign().quantize(small())
    broken = Quantized(nn.Linear(7, 2), made.layers, (), 1, 1.0, 1.0, 1.0, 0.0, "")
    with pytest.raises(UserError, match="sign: the quantized model does not run: RuntimeError: mat1 and mat2"):
        require_computes("sign", small(), broken, X)


class Tied(nn.Module):
    """A head that shares its weight with an embedding, as language models have it."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(64, 64), nn.Linear(64, 64, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.embedding(x).mean(1))


def tied() -> tuple[nn.Module, torch.Tensor]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Tied(), torch.randint(0, 64, (8, 5), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("spelled", ["sign", "gptq(bits=3)", "brecq(bits=3, iterations=5)"])
def test_a_weight_that_layers_share_is_quantized_once(spelled: str):
    (model, x), quantizer = tied(), QUANTIZERS.parse(spelled)
    made = quantizer.quantize(model, x)
    assert [layer.name for layer in made.layers] == ["embedding"]
    require_computes(spelled, model, made, x)


def test_noise_matches_a_layer_that_shared_its_weight_and_no_longer_does():
    @dataclass(frozen=True)
    class HeadAlone(Quantizer):
        """Round the head, as libraries do that replace Linear layers, and leave the embedding."""

        name: ClassVar[str] = "head_alone"

        def apply(self, models, calibration, generators):
            return [self._one(model) for model in models]

        def _one(self, model: nn.Module) -> Change:
            [layer] = Uniform(bits=2).code("head", [model.head.weight], 0)
            model.head.weight = nn.Parameter(layer.dequantize())
            return Change(model, (layer,))

    model, x = tied()
    noisy = MatchedNoise(of=HeadAlone()).quantize(model, generator=torch.Generator().manual_seed(0)).model
    assert torch.equal(noisy.embedding.weight, model.embedding.weight)
    assert not torch.equal(noisy.head.weight, model.head.weight)
    require_computes("matched_noise", model, HeadAlone().quantize(model), x)


@pytest.mark.parametrize("spelled", ["gptq(bits=3)", "brecq(bits=3, iterations=5)", "adaround(bits=3, iterations=5)"])
def test_models_of_half_precision_are_quantized(spelled: str):
    model, x = small().bfloat16(), X.bfloat16()
    require_computes(spelled, model, QUANTIZERS.parse(spelled).quantize(model, x), x)
