"""Claims about losses, signals and worth, against independent definitions in float64."""

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, r2_score

from quantmis.errors import UserError
from quantmis.models import BinaryCrossEntropy, CrossEntropy, MultiLabel, SquaredError


@pytest.fixture
def logits(rng: np.random.Generator) -> np.ndarray:
    return rng.normal(size=(50, 4)) * 3


def probabilities(logits: np.ndarray) -> np.ndarray:
    odds = np.exp(logits - logits.max(1, keepdims=True))
    return odds / odds.sum(1, keepdims=True)


def test_cross_entropy_is_scikit_learns(logits: np.ndarray):
    y = np.arange(50) % 4
    losses = CrossEntropy().losses(torch.from_numpy(logits), torch.from_numpy(y))
    assert losses.mean().item() == pytest.approx(log_loss(y, probabilities(logits)), abs=1e-12)


def test_the_signal_is_the_logit_of_the_true_class(logits: np.ndarray):
    y = np.arange(50) % 4
    p = probabilities(logits)[np.arange(50), y]
    signals = CrossEntropy().signals(torch.from_numpy(logits), torch.from_numpy(y))
    np.testing.assert_allclose(signals.numpy(), np.log(p / (1 - p)), atol=1e-10)


def test_a_certain_model_has_a_finite_signal_that_still_grows():
    outputs = torch.tensor([[40.0, 0.0], [80.0, 0.0]])
    signals = CrossEntropy().signals(outputs, torch.tensor([0, 0]))
    assert signals.tolist() == [40.0, 80.0]


def test_modified_entropy_is_its_definition(logits: np.ndarray):
    y, p = np.arange(50) % 4, probabilities(logits)
    true = p[np.arange(50), y]
    wrong = np.where(np.arange(4) == y[:, None], 0, p * np.log(1 - p)).sum(1)
    found = CrossEntropy().entropy(torch.from_numpy(logits), torch.from_numpy(y))
    np.testing.assert_allclose(found.numpy(), -(1 - true) * np.log(true) - wrong, rtol=1e-6)


def test_modified_entropy_is_zero_for_certainty_and_finite_for_certain_error():
    found = CrossEntropy().entropy(torch.tensor([[99.0, 0.0], [0.0, 99.0]]), torch.tensor([0, 0]))
    assert found[0].item() == pytest.approx(0, abs=1e-5)
    assert 50 < found[1].item() < 300


def test_every_loss_treats_many_models_as_it_treats_each(rng: np.random.Generator):
    outputs = torch.from_numpy(rng.normal(size=(3, 20, 4)))
    for loss, y in (
        (CrossEntropy(), np.arange(20) % 4),
        (SquaredError(), rng.normal(size=(20, 4))),
        (MultiLabel(), rng.integers(0, 2, size=(20, 4))),
    ):
        target = loss.targets(y)
        for method in (loss.losses, loss.signals, loss.per_sample_utility):
            together = method(outputs, target)
            assert together.shape == (3, 20)
            torch.testing.assert_close(together, torch.stack([method(each, target) for each in outputs]))


def test_squared_error_and_r2_are_the_usual_ones(rng: np.random.Generator):
    y, predicted = rng.normal(size=30).astype(np.float32), rng.normal(size=(30, 1))
    loss = SquaredError()
    target = loss.targets(y)
    assert loss.losses(torch.from_numpy(predicted), target).mean().item() == pytest.approx(
        np.square(y - predicted[:, 0]).mean(), rel=1e-5
    )
    assert loss.per_sample_utility(torch.from_numpy(predicted), target).mean().item() == pytest.approx(
        r2_score(y, predicted), abs=1e-5
    )


def test_the_multi_label_signal_is_the_mean_logit_towards_the_truth():
    loss = MultiLabel()
    outputs, y = torch.tensor([[2.0, -3.0]]), loss.targets(np.array([[1, 0]]))
    assert loss.signals(outputs, y).tolist() == [2.5]
    assert loss.per_sample_utility(outputs, y).tolist() == [1.0]


def test_one_logit_is_the_cross_entropy_of_the_logits_zero_and_itself(rng: np.random.Generator):
    y, logit = rng.integers(0, 2, size=40), torch.from_numpy(rng.normal(size=(3, 40, 1)) * 4)
    binary, two = BinaryCrossEntropy(), CrossEntropy()
    both = torch.cat([torch.zeros_like(logit), logit], dim=-1)
    for name in ("losses", "signals", "entropy", "per_sample_utility"):
        ours = getattr(binary, name)(logit, binary.targets(y))
        theirs = getattr(two, name)(both, two.targets(y)).expand(3, 40)
        torch.testing.assert_close(ours.double(), theirs.double(), rtol=1e-6, atol=1e-9)
    sure = BinaryCrossEntropy(outputs="probabilities")
    probable = sure.losses(logit.sigmoid(), sure.targets(y)).double()
    torch.testing.assert_close(probable, binary.losses(logit, binary.targets(y)).double(), rtol=1e-5, atol=1e-6)
    assert binary.classes(y).tolist() == y.tolist()


@pytest.mark.parametrize(
    ("loss", "y", "outputs", "message"),
    [
        (CrossEntropy(), np.arange(20), (20, 10), r"labels run from 0 to 19, the model's 10 outputs mean 0 to 9"),
        (CrossEntropy(), np.arange(20) - 1, (20, 30), "labels run from -1"),
        (CrossEntropy(), np.eye(20), (20, 20), "one integer label per sample"),
        (CrossEntropy(), np.zeros(20), (20, 2), "one integer label per sample, got float64"),
        (CrossEntropy(), np.zeros(20, dtype=int), (20,), r"\[20, classes\] for 20 samples, it returned \[20\]"),
        (CrossEntropy(), np.zeros(20, dtype=int), (20, 5, 3), "returned"),
        (CrossEntropy(), np.zeros(20, dtype=int), (20, 1), "at least 2 outputs, the model has 1"),
        (SquaredError(), np.arange(20.0), (20, 2), r"\[20, 1\]"),
        (SquaredError(), np.zeros(20), (20, 1), "same for every sample"),
        (BinaryCrossEntropy(), np.arange(20), (20, 1), "expects labels 0 and 1"),
        (BinaryCrossEntropy(), np.arange(20) % 2, (20, 2), r"\[20, 1\]"),
        (BinaryCrossEntropy(), np.arange(20) % 2, (20,), r"it returned \[20\]"),
        (MultiLabel(), np.full((20, 3), 0.5), (20, 3), "rows of 0 and 1"),
        (MultiLabel(), np.zeros((20, 3)), (20, 4), r"\[20, labels\]"),
    ],
)
def test_targets_that_do_not_fit_the_outputs_are_refused(loss, y, outputs, message):
    with pytest.raises(UserError, match=message):
        loss.check(y, outputs)


@pytest.mark.parametrize(
    ("y", "outputs", "hint"),
    [
        (np.zeros(20), (20, 2), "y.astype(int)"),
        (np.zeros((20, 1), dtype=int), (20, 2), "y.ravel()"),
        (np.full((20, 2), 0.5), (20, 2), "soft labels"),
        (np.arange(1, 21), (20, 20), "number the labels from 0"),
        (np.zeros(20, dtype=int), (20,), "squeeze"),
    ],
)
def test_every_wrong_target_has_its_own_remedy(y: np.ndarray, outputs: tuple[int, ...], hint: str):
    with pytest.raises(UserError) as refused:
        CrossEntropy().check(y, outputs)
    assert hint in (refused.value.hint or "")
