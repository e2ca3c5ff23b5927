"""What is said of one sample does not depend on another that is far off, and few references are shrunken."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from quantmis.attacks import RMIA, GaussianPlugIn, LiRA
from quantmis.attacks.moments import spread_of_scales
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
