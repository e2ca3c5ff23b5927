"""R^2 is that of the samples it is measured on, whatever stands elsewhere."""

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score
from torch import nn

import quantmis as qm
from quantmis.errors import UserError
from quantmis.measures.utility import UTILITY
from quantmis.models.losses import CrossEntropy, SquaredError
from quantmis.tables.saved import read_table


def regression(outputs: int = 2) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    draw = np.random.default_rng(0)
    y = draw.normal(size=(60, outputs)) * np.arange(1, outputs + 1)
    predicted = y + 0.5 * draw.normal(size=y.shape)
    return torch.from_numpy(predicted), torch.from_numpy(y), torch.arange(60) >= 40


@pytest.mark.parametrize("outputs", [1, 2])
def test_r_squared_is_scikit_learns_on_the_samples_measured(outputs: int):
    predicted, y, measured = regression(outputs)
    worth = SquaredError().utility_measured(predicted, y, measured)
    assert float(worth[measured].mean()) == pytest.approx(r2_score(y[measured], predicted[measured]), abs=1e-12)
    whole = SquaredError().per_sample_utility(predicted, y)
    assert float(whole.mean()) == pytest.approx(r2_score(y, predicted), abs=1e-12)


def test_an_outlier_among_the_members_leaves_r_squared_alone():
    predicted, y, measured = regression()
    before = SquaredError().utility_measured(predicted, y, measured)[measured].mean()
    y[3] = 99_999.0
    assert SquaredError().utility_measured(predicted, y, measured)[measured].mean() == before


def test_targets_that_do_not_vary_where_they_are_measured_have_no_r_squared():
    predicted, y, measured = regression()
    y[measured, 1] = 4.0
    with pytest.raises(UserError, match="there is no R"):
        SquaredError().utility_measured(predicted, y, measured)


def test_what_a_class_is_worth_does_not_depend_on_what_is_measured():
    outputs, y = torch.eye(3), torch.tensor([0, 1, 1])
    measured = torch.tensor([True, False, False])
    assert torch.equal(CrossEntropy().utility_measured(outputs, y, measured), torch.tensor([1.0, 1.0, 0.0]))


def line() -> nn.Module:
    return nn.Linear(4, 1)


def with_outlier() -> qm.Samples:
    """Return a regression whose row 3 has a target of 99,999."""
    draw = np.random.default_rng(0)
    x = draw.normal(size=(120, 4)).astype(np.float32)
    y = x[:, 0] + draw.normal(size=120)
    y[3] = 99_999.0
    return qm.Samples(x, y)


@pytest.mark.slow
def test_an_audit_of_a_trained_model_measures_r_squared_on_its_non_members():
    samples, model = with_outlier(), line()
    members, others = np.arange(60), np.arange(60, 120)
    with torch.no_grad():
        predicted = model(torch.from_numpy(samples.x[others])).numpy()
    truth = float(r2_score(samples.y[others], predicted))
    target = qm.Target(model, members, others, utility=truth)
    result = qm.audit(qm.Task(line, "mse"), samples, quantizers=["sign"], target=target)
    assert result.document.versions[0][UTILITY].value == pytest.approx(truth, abs=1e-5)


@pytest.mark.slow
def test_an_audit_of_a_training_measures_r_squared_on_what_it_held_out(tmp_path: Path):
    samples, task = with_outlier(), qm.Task(line, "mse", qm.Recipe(epochs=1))
    result = qm.audit(task, samples, quantizers=["sign"], depth="indicator", out=tmp_path / "audit", seed=1)
    table = read_table(tmp_path / "audit" / "tables" / "identity.npz", "identity", "models")
    held_out = table.is_held_out
    assert not held_out[3]
    errors = table.evidence.losses[:, held_out].mean()
    truth = 1 - errors / samples.y[held_out].var(dtype=np.float64)
    assert result.document.versions[0][UTILITY].value == pytest.approx(truth, abs=1e-5)


def test_targets_without_r_squared_are_refused_before_anything_is_spent():
    constant, few = with_outlier(), with_outlier()
    constant.y[60:] = 1.0
    target = qm.Target(line(), np.arange(60), np.arange(60, 120))
    with pytest.raises(UserError, match="there is no R"):
        qm.audit(qm.Task(line, "mse"), constant, quantizers=["sign"], target=target)
    few.y[:] = np.arange(120) == 5
    with pytest.raises(UserError, match="there is no R"):
        qm.audit(qm.Task(line, "mse", qm.Recipe(epochs=10**9)), few, quantizers=["sign"], depth="indicator", seed=1)


def test_members_that_all_have_one_target_are_no_error():
    samples = with_outlier()
    samples.y[:60] = 0.0
    target = qm.Target(line(), np.arange(60), np.arange(60, 120))
    qm.audit(qm.Task(line, "mse"), samples, quantizers=["sign"], target=target)


def test_a_version_without_the_dimension_of_outputs_is_refused():
    """Its errors would be those of every prediction against every target."""
    samples, model = with_outlier(), line()
    versions = {"flat": lambda x: model(x).squeeze(-1)}
    target = qm.Target(model, np.arange(60), np.arange(60, 120), versions=versions)
    with pytest.raises(UserError, match=r"flat cannot compute the samples: it returns \[\] for one of them"):
        qm.audit(qm.Task(line, "mse"), samples, quantizers=["sign"], target=target)
