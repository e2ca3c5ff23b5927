"""R^2 is that of the samples it is measured on, whatever stands elsewhere."""

import numpy as np
import pytest
import torch
from sklearn.metrics import r2_score

from quantmis.errors import UserError
from quantmis.models.losses import CrossEntropy, SquaredError


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
