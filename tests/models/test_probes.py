"""Claims about what is tried on every model before anything is spent."""

import random
from typing import Any

import numpy as np
import pytest
import torch
from strange_models import (
    BatchStatistics,
    Body,
    Changing,
    ChannelStatistics,
    DrawsForNothing,
    DropoutLeftOn,
    DynamicScale,
    Gumbel,
    Half,
    LargeBatches,
    Mixture,
    Percent,
    SeldomDraws,
    Sigmoid,
    Squeezing,
    WithNoise,
    softmax,
)
from torch import nn

import quantmis as qm
from quantmis.audit.checks import check
from quantmis.audit.target.versions import loss_row
from quantmis.data import Samples
from quantmis.errors import UserError
from quantmis.models import CrossEntropy, MultiLabel, Task, streams
from quantmis.models.outputs import log_odds, log_probabilities
from quantmis.models.probes import settled, steadiness
from quantmis.models.rehearsal import rehearse
from quantmis.models.rows import forward, row

RANDOM = {DropoutLeftOn: "DropoutLeftOn itself", WithNoise: "its layer noise", Gumbel: "Gumbel itself"}
BY_COMPANY = {
    ChannelStatistics: r"its layer norm \(BatchNorm2d",
    DynamicScale: "DynamicScale itself",
    Mixture: "Mixture itself",
}


@pytest.mark.parametrize("model", RANDOM)
def test_a_model_that_draws_when_it_is_asked_is_refused_with_its_layer(digits: Samples, model: type[nn.Module]):
    with pytest.raises(UserError, match=f"when it is asked again, in .*{RANDOM[model]}") as refused:
        check(Task(model), digits)
    assert "training=self.training" in str(refused.value.hint)


def test_a_model_that_seldom_draws_is_refused(digits: Samples):
    with pytest.raises(UserError, match=r"when it is asked again, in .*SeldomDraws itself"):
        check(Task(SeldomDraws), digits)
    check(Task(DrawsForNothing), digits)


def test_what_is_drawn_beside_a_model_is_none_of_its_draws():
    x = torch.zeros(3, 64)
    for model, drawn in ((Body(), False), (WithNoise(), True)):
        with streams.listening(model) as heard:
            model(x)
            random.random()
            model(x)
        assert heard == [drawn, drawn]
        assert not model._forward_hooks


def test_samples_that_are_alike_at_the_start_hide_no_dependence_on_the_batch(digits: Samples):
    x = digits.x.copy()
    x[:500] = x[0]
    with pytest.raises(UserError, match="beside other samples"):
        check(Task(DynamicScale), Samples(x, digits.y))


def test_what_shows_in_large_batches_alone_is_refused(digits: Samples):
    check(Task(LargeBatches), digits)
    with pytest.raises(UserError, match=r"beside other samples, in .*LargeBatches itself") as refused:
        rehearse(Task(LargeBatches), digits, members=100)
    assert "samples_at_once=1" in str(refused.value.hint)
    rehearse(Task(LargeBatches, samples_at_once=1), digits, members=100)
    rehearse(Task(Half), digits, members=100)


def test_a_version_that_looks_at_large_batches_is_computed_alone(digits: Samples):
    """Against one forward pass for each sample."""
    module, task = Task(LargeBatches).build(0).eval(), Task(Body)
    found, by_company = loss_row(module, task, digits, "ours")
    with torch.no_grad():
        alone = torch.cat([module(each) for each in torch.from_numpy(digits.x).split(1)])
    expected = nn.functional.cross_entropy(alone, torch.from_numpy(digits.y), reduction="none").numpy()
    assert by_company
    np.testing.assert_allclose(found.losses, expected, atol=1e-5)


@pytest.mark.parametrize("model", BY_COMPANY)
def test_a_model_whose_predictions_depend_on_the_batch_is_refused_with_its_layer(digits: Samples, model):
    with pytest.raises(UserError, match=f"beside other samples, in .*{BY_COMPANY[model]}") as refused:
        check(Task(model), digits)
    assert "samples_at_once=1" in str(refused.value.hint)


def test_a_model_that_takes_no_sample_alone_is_refused_with_its_layer(digits: Samples):
    with pytest.raises(UserError, match="takes no sample alone: ValueError: Expected more than 1 value") as refused:
        check(Task(BatchStatistics), digits)
    assert "BatchNorm1d(16" in str(refused.value.hint)
    with pytest.raises(UserError, match=r"returns \[10\] for a sample alone, and \[8, 10\] for 8"):
        check(Task(Squeezing), digits)


@pytest.mark.parametrize("model", BY_COMPANY)
def test_what_depends_on_the_batch_is_computed_alone_where_that_is_declared(digits: Samples, model):
    """Against one forward pass for each sample."""
    task, few = Task(model, samples_at_once=1), digits.take(np.arange(40))
    check(task, few)
    module, x = task.build(3).eval(), torch.from_numpy(few.x)
    with torch.no_grad():
        alone = torch.cat([module(x[index : index + 1].clone()) for index in range(len(x))])
        together = module(x.clone())
    labels = torch.from_numpy(few.y)
    found = row(module, task.loss, x, labels, samples_at_once=task.samples_at_once)
    expected = nn.functional.cross_entropy(alone, labels, reduction="none")
    np.testing.assert_allclose(found.losses, expected.numpy(), atol=1e-6)
    assert np.abs(found.losses - nn.functional.cross_entropy(together, labels, reduction="none").numpy()).max() > 1e-3


@pytest.mark.parametrize("model", [Body, Half, Changing, lambda: nn.Sequential(nn.Linear(64, 9), nn.LayerNorm(9))])
def test_a_sound_model_passes_also_in_short_number_formats(digits: Samples, model):
    check(Task(model), digits.take(np.flatnonzero(digits.y < 9)))


def test_the_checks_leave_the_users_arrays_and_the_global_streams_alone(digits: Samples):
    x = digits.x[:100].copy()
    before, stream = x.copy(), torch.get_rng_state()
    check(Task(Changing), Samples(x, digits.y[:100]))
    assert np.array_equal(x, before)
    assert torch.equal(torch.get_rng_state(), stream)


def test_probabilities_are_recognised_and_the_hint_names_the_option(digits: Samples):
    with pytest.raises(UserError, match="returns probabilities, not logits: every row sums to 1") as refused:
        check(Task(softmax), digits)
    assert 'outputs="probabilities"' in str(refused.value.hint)
    check(Task(softmax, outputs="probabilities"), digits)
    with pytest.raises(UserError, match="declared to return probabilities, and returns numbers from -"):
        check(Task(Body, outputs="probabilities"), digits)


def test_percentages_are_no_logits(digits: Samples):
    with pytest.raises(UserError, match="probabilities in per cent: every row sums to 100") as refused:
        check(Task(Percent), digits)
    assert "divide them by 100" in str(refused.value.hint)
    with pytest.raises(UserError, match="ours returns probabilities in per cent"):
        settled("ours", Percent().eval(), Task(Body), torch.from_numpy(digits.x[:8]))


def test_probabilities_of_labels_are_recognised_by_what_computes_them(digits: Samples):
    labels = Samples(digits.x, (digits.y[:, None] % np.array([2, 3, 5]) == 0).astype(int))
    with pytest.raises(UserError, match="returns probabilities, not logits: they all lie in 0 to 1"):
        check(Task(Sigmoid, "multi_label"), labels)
    check(Task(Sigmoid, "multi_label", outputs="probabilities"), labels)

    class Positive(Sigmoid):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 0.1 * torch.tanh(self.last(x)) + 0.5  # logits that lie in 0 to 1 by chance

    check(Task(Positive, "multi_label"), labels)


def test_probabilities_give_the_numbers_of_the_logits_behind_them():
    """Against the losses of the logits, in double precision."""
    draw = torch.Generator().manual_seed(0)
    logits, y = 3 * torch.randn(50, 5, generator=draw), torch.randint(0, 5, (50,), generator=draw)
    own, other = CrossEntropy(), CrossEntropy(outputs="probabilities")
    p = logits.double().softmax(-1).float()
    for name in ("losses", "signals", "entropy", "per_sample_utility", "objective"):
        expected = getattr(own, name)(logits.double(), y).float()
        torch.testing.assert_close(getattr(other, name)(p, y), expected, atol=1e-4, rtol=1e-4)
    truths = torch.randint(0, 2, (50, 5), generator=draw).float()
    labels = MultiLabel(outputs="probabilities")
    for name in ("losses", "signals", "per_sample_utility"):
        expected = getattr(MultiLabel(), name)(logits, truths)
        torch.testing.assert_close(getattr(labels, name)(logits.sigmoid(), truths), expected, atol=1e-3, rtol=1e-3)


def test_certain_probabilities_stay_finite():
    certain = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    assert torch.isfinite(log_probabilities(certain)).all()
    assert torch.isfinite(log_odds(certain)).all()
    assert torch.isfinite(CrossEntropy(outputs="probabilities").signals(certain, torch.tensor([0, 0]))).all()


@pytest.mark.usefixtures("unchecked")
def test_outputs_are_declared_of_classifiers_alone():
    with pytest.raises(UserError, match="mse takes a model's outputs as they are"):
        Task(Body, "mse", outputs="probabilities")
    with pytest.raises(UserError, match="unknown outputs 'odds'"):
        Task(Body, outputs="odds")  # pyright: ignore[reportArgumentType]
    with pytest.raises(UserError, match="samples_at_once: expected at least 1, got 0"):
        Task(Body, samples_at_once=0)
    assert Task(Body, 'cross_entropy(outputs="probabilities")').loss == Task(Body, outputs="probabilities").loss


@pytest.mark.parametrize("declared", ["logits", "probabilities"])
def test_a_version_that_returns_the_other_kind_of_outputs_is_converted(digits: Samples, declared: Any):
    task = Task(softmax if declared == "probabilities" else Body, outputs=declared)
    whole = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    x, y = torch.from_numpy(digits.x[:40]), torch.from_numpy(digits.y[:40])
    expected = nn.functional.cross_entropy(whole(x), y, reduction="none").detach().numpy()
    for version in (whole, nn.Sequential(whole, nn.Softmax(-1))):
        how = settled("our version", version, task, x)
        np.testing.assert_allclose(row(how.module, task.loss, x, y).losses, expected, atol=1e-5)


def test_a_version_that_depends_on_the_batch_is_computed_alone_and_one_that_draws_is_refused(digits: Samples):
    task, x = Task(Body), torch.from_numpy(digits.x[:20])
    how = settled("our int8", DynamicScale(), task, x)
    assert (how.samples_at_once, how.by_company) == (1, True)
    assert settled("our fp32", Body(), task, x).samples_at_once is None
    with pytest.raises(UserError, match="our noise predicts something else for the same samples"):
        settled("our noise", WithNoise(), task, x)


def test_one_rounding_that_goes_either_way_is_no_dependence_on_the_batch(digits: Samples):
    class Flipping(Body):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            out = super().forward(x)
            return out + 0.01 * (torch.arange(len(x)) == 1)[:, None]

    x = torch.from_numpy(digits.x[:8])
    assert steadiness("a model", Flipping(), x).by_company
    assert not steadiness("a model", Flipping(), x, typical=True).by_company


def test_onnx_runtimes_dynamic_int8_depends_on_the_batch_and_is_computed_alone(digits: Samples):
    pytest.importorskip("onnxruntime")
    torch.manual_seed(0)
    model, x = Body().eval(), torch.from_numpy(digits.x[:60])
    made = qm.quantizers.QUANTIZERS.parse("onnx.dynamic").quantize(model, x)
    with torch.no_grad():
        alone = torch.cat([made.model(x[index : index + 1]) for index in range(len(x))])
    how = settled("onnx.dynamic", made.model, Task(Body), x[:8])
    assert how.by_company
    torch.testing.assert_close(forward(how.module, x, how.samples_at_once), alone, atol=1e-6, rtol=0)
    assert (forward(how.module, x) - alone).abs().max() > 1e-4


@pytest.fixture(scope="module")
def reused() -> nn.Module:
    return Body()


def test_a_model_instance_that_is_reused_is_refused(digits: Samples, reused: nn.Module):
    with pytest.raises(UserError, match=r"same weights again.*: first\.weight is shared") as refused:
        check(Task(lambda: reused), digits)
    assert "def make()" in str(refused.value.hint)

    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.backbone, self.head = reused.first, nn.Linear(16, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.backbone(x))

    with pytest.raises(UserError, match=r"backbone\.weight is shared"):
        check(Task(Wrapped), digits)


def test_a_view_of_the_weights_of_another_model_is_the_same_memory(digits: Samples, reused: nn.Module):
    def make() -> nn.Module:
        module = Body()
        module.last.weight = nn.Parameter(reused.last.weight.detach().view(10, 16))
        return module

    with pytest.raises(UserError, match=r"last\.weight is shared"):
        check(Task(make), digits)


def test_a_lazy_layer_is_refused_by_name(digits: Samples):
    with pytest.raises(UserError, match=r"model: 0\.weight has no size before the first samples") as refused:
        check(Task(lambda: nn.Sequential(nn.LazyLinear(10))), digits)
    assert "nn.Linear(64, 10)" in str(refused.value.hint)
