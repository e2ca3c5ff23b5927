"""Claims about official metrics: they are those of scikit-learn and SciPy, and their intervals hold."""

import numpy as np
import pytest
from scipy.stats import spearmanr
from sklearn.metrics import average_precision_score, mean_absolute_error, roc_auc_score

from quantmis.errors import UserError
from quantmis.studies.utility import chance, utility

pytestmark = pytest.mark.slow

ORACLES = {
    "auroc": roc_auc_score,
    "auprc": average_precision_score,
    "mae": mean_absolute_error,
    "spearman": lambda y, predicted: spearmanr(y, predicted).statistic,
}


@pytest.mark.parametrize("metric", ORACLES)
def test_the_value_is_the_mean_over_models_of_the_official_metric(metric: str, rng: np.random.Generator):
    y = (np.arange(120) % 3 == 0).astype(float)
    predicted = rng.normal(size=(5, 120)).round(1) + y  # rounded, so that there are ties
    expected = np.mean([ORACLES[metric](y, row) for row in predicted])
    shuffled = rng.permutation(120)
    assert utility(metric, y, predicted).value == pytest.approx(expected)
    assert utility(metric, y[shuffled], predicted[:, shuffled]).value == pytest.approx(expected)


@pytest.mark.parametrize(("metric", "truth"), [("auroc", 0.7602), ("mae", 1.1663)])
def test_the_interval_covers_the_truth_as_often_as_it_says(metric: str, truth: float):
    covered = 0
    for seed in range(80):
        draw = np.random.default_rng(seed)
        y = np.arange(150) % 2.0
        common = draw.normal(size=150)  # what is hard for one model is hard for all
        predicted = y + 0.8 * common + 0.6 * draw.normal(size=(2, 150))
        if metric == "mae":
            predicted = predicted + common * 0.5
        found = utility(metric, y, predicted)
        covered += found.low <= _truth(metric) <= found.high
    assert 71 <= covered <= 80
    assert _truth(metric) == pytest.approx(truth, abs=0.03)


def _truth(metric: str) -> float:
    draw = np.random.default_rng(10**6)
    y = np.arange(400_000) % 2.0
    common = draw.normal(size=len(y))
    predicted = y + 0.8 * common + 0.6 * draw.normal(size=len(y)) + (0.5 * common if metric == "mae" else 0)
    return float(ORACLES[metric](y, predicted))


def test_a_model_that_always_says_the_same_has_the_utility_of_chance():
    y = np.arange(100) % 2.0
    constant = np.zeros((3, 100))
    assert utility("auroc", y, constant).value == chance("auroc", y, y) == 0.5
    assert utility("spearman", y, constant).value == chance("spearman", y, y) == 0.0
    assert utility("auprc", y, constant).value == chance("auprc", y, y) == 0.5
    assert utility("mae", y, constant + np.median(y)).value == chance("mae", y, y)


def test_no_interval_leaves_what_a_metric_can_be(rng: np.random.Generator):
    y = (np.arange(60) % 6 == 0).astype(float)
    almost = np.tile(y, (3, 1))
    almost[:, 0] = 0.4
    for metric, least, most in (("auroc", 0, 1), ("auprc", 0, 1), ("spearman", -1, 1), ("mae", 0, np.inf)):
        for predicted in (almost, -almost, rng.normal(size=(3, 60))):
            found = utility(metric, y, predicted)
            assert least <= found.low <= found.value <= found.high <= most


def test_too_few_test_samples_are_refused():
    with pytest.raises(UserError, match="at least 40 test samples, got 39"):
        utility("auroc", np.arange(39) % 2.0, np.zeros((2, 39)))
