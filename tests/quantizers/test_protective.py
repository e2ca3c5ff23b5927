"""Claims about protective rounding: what it may know of members, what it learns, and what it refuses."""

import numpy as np
import pytest
import torch
from torch import nn

from quantmis.errors import UserError
from quantmis.models.losses import CrossEntropy, SquaredError
from quantmis.quantizers import (
    QUANTIZERS,
    Identity,
    Labelled,
    MatchedNoise,
    Mixed,
    Protective,
    Supervision,
    Ternary,
    Uniform,
)
from quantmis.quantizers.membership_gaps import GAPS
from quantmis.quantizers.straight_through import Fit, fitted

COARSE = Ternary(sparsity=0.8, per="channel")


def net(seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return nn.Sequential(nn.Linear(10, 24), nn.ReLU(), nn.Linear(24, 3))


def world(seed: int, samples: int = 200) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    x = torch.randn(samples, 10, generator=draw)
    return x, x[:, :3].argmax(1)


def shown(members: int = 0, held_out: int = 1) -> Supervision:
    return Supervision(Labelled.of(*world(members)), Labelled.of(*world(held_out)), CrossEntropy())


def held_out_loss(model: nn.Module, seed: int = 1) -> float:
    x, y = world(seed)
    with torch.no_grad():
        return float(nn.functional.cross_entropy(model(x), y))


def test_two_models_that_look_alike_through_the_coarse_quantizer_become_one():
    """The data processing inequality at work: what the coarse version hides, the codes cannot tell."""
    model, other = net(0), net(0)
    for layer in (other[0], other[2]):
        kept = COARSE.quantize(nn.Sequential(layer)).layers[0].codes != 0
        layer.weight.data = torch.where(kept, layer.weight, -0.5 * layer.weight).detach()
    assert not torch.equal(model[0].weight, other[0].weight)
    made = [Protective(iterations=20).quantize(each, shown()) for each in (model, other)]
    assert made[0].fingerprint == made[1].fingerprint
    seen = [Protective(iterations=20, through=Identity()).quantize(each, shown()) for each in (model, other)]
    assert seen[0].fingerprint != seen[1].fingerprint


def test_without_a_weight_members_are_not_looked_at():
    first, second = (Protective(iterations=10).quantize(net(0), shown(members)) for members in (0, 7))
    assert first.fingerprint == second.fingerprint
    weighing = [Protective(iterations=10, weight=1.0).quantize(net(0), shown(members)) for members in (0, 7)]
    assert weighing[0].fingerprint != weighing[1].fingerprint


def test_fitting_brings_the_utility_back_that_coarseness_took():
    model = net(0)
    coarse, made = COARSE.quantize(model).model, Protective(iterations=80).quantize(model, shown()).model
    assert held_out_loss(made, seed=5) < 0.8 * held_out_loss(coarse, seed=5)


def test_a_weight_brings_members_and_held_out_samples_together():
    model, x = net(0), world(0)
    optimizer = torch.optim.Adam(model.parameters(), 0.05)
    wrong = torch.randperm(len(x[1]), generator=torch.Generator().manual_seed(0))
    memorised = x[0], x[1][wrong]
    for _ in range(120):
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(memorised[0]), memorised[1]).backward()
        optimizer.step()
    own = Supervision(Labelled.of(*memorised), Labelled.of(*world(1)), CrossEntropy())

    def gap(weight: float) -> float:
        made = Protective(bits=4, through=Identity(), weight=weight, iterations=40).quantize(model, own).model
        with torch.no_grad():
            return held_out_loss(made) - float(nn.functional.cross_entropy(made(memorised[0]), memorised[1]))

    assert abs(gap(5.0)) < 0.5 * abs(gap(0.0))


@pytest.mark.parametrize("form", list(GAPS))
def test_a_gap_is_zero_among_equals_grows_and_has_gradients(form: str):
    values = torch.linspace(-1, 1, 20)[None]
    apart = [float(GAPS[form](values, values + shift)) for shift in (0.0, 0.5, 2.0)]
    assert apart[0] < 1e-5 < apart[1] < apart[2]
    other = (values + 0.5).requires_grad_()
    GAPS[form](values, other).sum().backward()
    assert other.grad is not None
    assert float(other.grad.abs().sum()) > 0


def test_the_codes_that_are_learnt_are_the_best_of_a_problem_with_a_known_answer():
    """A layer of one output is to repeat another whose weights are levels: least squares finds it."""
    weight, x = torch.tensor([[3.0, -2.0, 1.0, 0.0]]), torch.randn(64, 4, generator=torch.Generator().manual_seed(0))
    model = nn.Linear(4, 1, bias=False)
    model.weight.data.fill_(3.0)
    layers = {"": Uniform(bits=3, per="channel", range="max", narrow=True).code("", [model.weight.detach()], 0)}

    def error(step: int, outputs: object) -> torch.Tensor:
        return (outputs(x[None]) - x @ weight.T).square().mean((1, 2))

    [[record]] = fitted(Fit([model], layers, x[:2]), error, 250)
    assert torch.equal(record.dequantize(), weight)


def test_a_module_that_cannot_be_batched_is_fitted_all_the_same():
    class Branching(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = net(0)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.inner(x) if bool(x.abs().sum() >= 0) else x  # the value of a batched tensor cannot be asked for

    alone = Protective(iterations=40).quantize(net(0), shown()).model
    made = Protective(iterations=40).quantize(Branching(), shown()).model
    assert held_out_loss(made) == pytest.approx(held_out_loss(alone), rel=0.2)


def test_models_with_unequal_numbers_of_members_are_fitted_each_on_its_own():
    x, y = world(0)
    some = Supervision(Labelled(x, y, torch.arange(50)), Labelled.of(*world(1)), CrossEntropy())
    quantizer = Protective(iterations=10, weight=1.0)
    together = quantizer.quantize_many([net(0), net(1)], [some, shown()])
    alone = [quantizer.quantize(net(0), some), quantizer.quantize(net(1), shown())]
    assert [each.fingerprint for each in together] == [each.fingerprint for each in alone]


def test_regressions_are_fitted_too():
    x, _ = world(0)
    y = x[:, :1]
    own = Supervision(Labelled.of(x, y), Labelled.of(world(1)[0], world(1)[0][:, :1]), SquaredError())
    model = nn.Linear(10, 1)
    made = Protective(iterations=100, weight=0.5, gap="log_odds").quantize(model, own).model
    with torch.no_grad():
        assert float((made(x) - y).square().mean()) < float((model(x) - y).square().mean())


def test_what_it_stands_inside_of_shows_it_labels_too():
    inside = Mixed(of=Protective(iterations=5), at=Uniform(bits=8)).quantize(net(0), shown())
    assert [layer.levels for layer in inside.layers] == [8, 256]
    noisy = MatchedNoise(of=Protective(iterations=5))
    assert noisy.quantize(net(0), shown(), torch.Generator().manual_seed(0)).layers == ()


def test_inputs_without_labels_are_refused():
    for given in (None, world(0)[0]):
        with pytest.raises(UserError, match="looks at labels, members and held-out samples"):
            Protective().quantize(net(0), given)


def test_unknown_members_no_held_out_samples_and_shared_ones_are_refused():
    samples, none = Labelled.of(*world(0)), Labelled(*world(0), torch.arange(0))
    with pytest.raises(UserError, match="members of the model are not known"):
        Supervision(none, samples, CrossEntropy())
    with pytest.raises(UserError, match="no held-out samples"):
        Supervision(samples, none, CrossEntropy())
    with pytest.raises(UserError, match="200 of the held-out samples are members"):
        Supervision(samples, samples, CrossEntropy())
    x, y = world(0)
    with pytest.raises(UserError, match="3 of the held-out samples are members"):
        Supervision(samples, Labelled.of(x[:3].clone(), y[:3]), CrossEntropy())


def test_what_cannot_be_is_refused_by_its_name():
    for spelled, why in (
        ('protective(gap="median")', "gap"),
        ("protective(weight=-1.0)", "weight must lie between"),
        ("protective(bits=1)", "protective: bits must lie between"),
        ("protective(through=protective)", "protective cannot stand before it"),
        ("protective(iterations=0)", "iterations"),
    ):
        with pytest.raises(UserError, match=why):
            QUANTIZERS.parse(spelled)


def test_language_models_are_refused():
    model = net(0)
    model.reading = None
    with pytest.raises(UserError, match="not for language models"):
        Protective().quantize(model, shown())


def test_the_order_of_batches_is_no_order_of_the_data():
    x, y = world(0)
    order = np.argsort(y.numpy(), kind="stable")  # sorted by class, as files often are
    sorted_ones = Supervision(Labelled.of(*world(2)), Labelled.of(x[order], y[order]), CrossEntropy())
    made = Protective(iterations=60).quantize(net(0), sorted_ones).model
    assert held_out_loss(made, seed=5) < held_out_loss(COARSE.quantize(net(0)).model, seed=5)
