"""What is said of a chosen version holds, however it was chosen."""

import numpy as np
import pytest

from quantmis.errors import UserError
from quantmis.stats import compare_metrics, simultaneous, worse_than_best
from quantmis.stats.cluster import Linear, correlation, pair_id, spread
from quantmis.stats.selection import level_of_all
from quantmis.testing import leaky_table

MEMBER = leaky_table(models=16, samples=200).member


def metrics(values: list[float], draw: np.random.Generator, shared: float = 0.5) -> dict[str, Linear]:
    """Metrics whose errors are sums of influences of entries, in part common to all."""
    common = draw.normal(size=MEMBER.shape)
    found = {}
    for number, value in enumerate(values):
        influence = (shared * common + np.sqrt(1 - shared**2) * draw.normal(size=MEMBER.shape)) / MEMBER.size
        found[str(number)] = Linear(value + float(influence.sum()), influence - influence.mean())
    return found


@pytest.mark.slow
def test_the_version_that_looks_best_is_inside_its_interval_as_often_as_is_said():
    draw, alone, together = np.random.default_rng(0), [], []
    for _ in range(300):
        found = metrics([0.6] * 10, draw)
        best = min(found, key=lambda each: found[each].value)
        over = spread(found[best].influence, pair_id(MEMBER))
        alone.append(found[best].value + 1.96 * over.variance**0.5 < 0.6)
        together.append(simultaneous(found, MEMBER)[best].high < 0.6)
    assert np.mean(alone) > 0.08
    assert np.mean(together) <= 0.04


def test_intervals_of_all_together_are_no_wider_than_bonferronis_and_no_narrower_than_one():
    draw = np.random.default_rng(1)
    apart = [each.influence for each in metrics([0.6] * 8, draw, shared=0.0).values()]
    alike = [each.influence for each in metrics([0.6] * 8, draw, shared=0.999).values()]
    assert 0.95 <= level_of_all(alike, MEMBER) < level_of_all(apart, MEMBER) <= 1 - 0.05 / 8
    assert level_of_all(apart[:1], MEMBER) == 0.95


@pytest.mark.slow
def test_how_much_worse_than_the_best_is_never_said_too_low():
    draw, values, missed = np.random.default_rng(2), [0.5, 0.5, 0.51, 0.52, 0.6], []
    for _ in range(200):
        most = worse_than_best(metrics(values, draw), MEMBER)
        missed.append(any(values[int(name)] - 0.5 > bound for name, bound in most.items()))
    assert np.mean(missed) <= 0.05
    assert most["4"] > 0.09


def test_errors_that_metrics_share_correlate_them():
    draw = np.random.default_rng(3)
    for shared in (0.0, 0.5, 0.9):
        found = [
            correlation([each.influence for each in metrics([0.5] * 2, draw, shared).values()], pair_id(MEMBER))[0, 1]
            for _ in range(40)
        ]
        assert np.mean(found) == pytest.approx(shared**2, abs=0.05)
    still = np.zeros(MEMBER.shape)
    np.testing.assert_array_equal(correlation([still, still], pair_id(MEMBER)), np.eye(2))


def test_nothing_to_choose_from_is_refused():
    with pytest.raises(UserError, match="at least one metric"):
        level_of_all([], MEMBER)


def test_comparisons_borrow_what_all_pairs_say_of_how_trainings_differ():
    draw = np.random.default_rng(4)
    member = leaky_table(models=4, samples=200).member
    steady = {str(k): Linear(0.5 + k, draw.normal(size=member.shape) / 100) for k in range(6)}
    moved = {name: Linear(each.value, each.influence + draw.normal(size=(4, 1)) / 100) for name, each in steady.items()}
    reach = [
        np.median([pair.estimate.high - pair.estimate.value for pair in compare_metrics(each, member)])
        for each in (steady, moved)
    ]
    assert reach[1] > 2 * reach[0]
    alone = compare_metrics({name: moved[name] for name in ("0", "1")}, member)
    assert len(alone) == 1
