"""What is said of one sample does not depend on another that is far off, and few references are shrunken."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from quantmis.attacks import RMIA, GaussianPlugIn, LiRA
from quantmis.attacks.moments import centred, moments, spread_of_scales
from quantmis.attacks.reference_sets import reference_sets
from quantmis.data.membership import complementary_halves
from quantmis.evidence import Evidence

OUTLIER = 5


def signals(models: int = 16, samples: int = 600, outlier: float = 1.0, round_to: float = 0.0) -> Evidence:
    draw = np.random.default_rng(0)
    member = complementary_halves(models, samples, draw)
    scale = np.exp(draw.normal(size=samples) / 2)
    signal = 2 * draw.normal(size=samples) + scale * draw.normal(size=member.shape) + 0.7 * member
    signal = np.round(signal / round_to) * round_to if round_to else signal
    signal[:, OUTLIER] *= outlier
    return Evidence(-signal, member, signal=signal)


def area(attack, table: Evidence) -> float:
    rest = np.arange(table.samples) != OUTLIER
    return roc_auc_score(table.member[:, rest].ravel(), attack.score(table)[:, rest].ravel())


@pytest.mark.parametrize(
    "attack",
    [LiRA(), LiRA(variance="pooled"), LiRA(variance="per_example"), LiRA(online=False), GaussianPlugIn()],
)
@pytest.mark.parametrize("times", [1e2, 1e5, 1e9])
def test_a_sample_far_off_costs_the_attack_on_others_nothing(attack, times: float):
    assert area(attack, signals(outlier=times)) == pytest.approx(area(attack, signals()), abs=0.01)


@pytest.mark.parametrize("times", [1e5, 1e9])
def test_the_log_average_of_rmia_does_not_follow_one_ratio(times: float):
    attack = RMIA(log_average=True)
    assert area(attack, signals(outlier=times)) == pytest.approx(area(attack, signals()), abs=0.01)


def test_a_table_whose_spreads_differ_is_seen():
    assert spread_of_scales(signals().signals) < 50
    assert spread_of_scales(signals(outlier=1e5).signals) > 1e3
    assert spread_of_scales(np.ones((4, 10))) == 0.0


@pytest.mark.parametrize("models", [8, 16])
def test_few_references_are_worth_more_with_gaps_drawn_together(models: int):
    table = signals(models)
    assert area(LiRA(), table) > area(LiRA(variance="per_example"), table) + 0.02


def test_columns_on_which_references_agree_do_not_rule_the_others():
    table = signals(16, round_to=3.0)
    assert area(LiRA(), table) > area(LiRA(variance="per_example"), table)


@pytest.mark.parametrize("trained", [True, False])
def test_squares_about_the_mean_are_exact_beside_an_outlier(trained: bool):
    """Of samples whose references agree to a millionth but for one that lies a thousand away."""
    draw = np.random.default_rng(1)
    member = complementary_halves(12, 24, draw)
    signal = draw.normal(size=member.shape) * np.where(draw.random(24) < 0.5, 1e-6, 1.0)
    signal += 1e3 * (draw.random(member.shape) < 0.1)
    table = Evidence(-signal, member, signal=signal)
    sets = reference_sets(table, None)
    references = centred(table, sets)[1]
    found = moments(references, sets, trained)
    for row, column in np.ndindex(*member.shape):
        others = [k for k in range(12) if k not in (row, table.twin[row]) and member[k, column] == trained]
        values = references[others, column].astype(np.longdouble)
        expected = float(((values - values.mean()) ** 2).sum())
        assert found.square[sets.of[row], column] == pytest.approx(expected, rel=1e-12)
        assert found.mean[sets.of[row], column] == pytest.approx(float(values.mean()), rel=1e-12, abs=1e-12)
