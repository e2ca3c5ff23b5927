"""A sample that is there several times, as a group, says no more than once: every interval is the same."""

from collections.abc import Callable

import numpy as np
import pytest

from quantmis.attacks import PairedReplicates
from quantmis.evidence import Evidence
from quantmis.stats import by_class, compare, evaluate, simultaneous, worse_than_best
from quantmis.stats.average import average, average_among, average_difference
from quantmis.stats.cluster import Linear, pair_id
from quantmis.stats.compare import difference
from quantmis.stats.estimate import Estimate
from quantmis.stats.roc import auc, tally
from quantmis.testing import leaky_table

TIMES = 3
TABLE = leaky_table(models=8, samples=60)
OTHER = TABLE.losses[:, ::-1]
LABEL = np.arange(60) // 30
RIGHT = (TABLE.losses < np.median(TABLE.losses)).astype(float)

Interval = Callable[[Callable[[np.ndarray], np.ndarray], np.ndarray | None], Estimate]


def areas(tiled: Callable[[np.ndarray], np.ndarray]) -> dict[str, Linear]:
    member = tiled(TABLE.member)
    return {name: auc(tally(-tiled(each), member), member) for name, each in (("a", TABLE.losses), ("b", OTHER))}


def twins(tiled: Callable[[np.ndarray], np.ndarray], groups: np.ndarray | None) -> Estimate:
    return PairedReplicates().exposure(Evidence(tiled(TABLE.losses), tiled(TABLE.member), groups=groups))


INTERVALS: dict[str, Interval] = {
    "average": lambda t, g: average(t(RIGHT), t(TABLE.member), groups=g),
    "of numbers": lambda t, g: average(t(TABLE.losses), t(TABLE.member), groups=g),
    "difference": lambda t, g: average_difference(t(TABLE.losses), t(OTHER), t(TABLE.member), groups=g),
    "among": lambda t, g: average_among(t(TABLE.losses), t(TABLE.member), groups=g),
    "auc": lambda t, g: evaluate(-t(TABLE.losses), t(TABLE.member), groups=g).auc,
    "class": lambda t, g: by_class(-t(TABLE.losses), t(TABLE.member), t(LABEL[None])[0], groups=g)[1],
    "compare": lambda t, g: compare({"a": -t(TABLE.losses), "b": -t(OTHER)}, t(TABLE.member), groups=g)[0].estimate,
    "paired": lambda t, g: difference(*areas(t).values(), pair_id(TABLE.member), groups=g)[0],
    "together": lambda t, g: simultaneous(areas(t), t(TABLE.member), groups=g)["b"],
    "exposure": twins,
}


@pytest.mark.parametrize("name", INTERVALS)
def test_a_group_of_equal_samples_is_one_sample(name: str):
    interval, numbers = INTERVALS[name], np.tile(np.arange(60), TIMES)
    once = interval(lambda table: table, None)
    grouped = interval(lambda table: np.tile(table, TIMES), numbers)
    np.testing.assert_allclose(
        [grouped.value, grouped.low, grouped.high], [once.value, once.low, once.high], rtol=1e-6, atol=1e-9
    )
    assert "group of samples" in grouped.method


def test_how_much_worse_than_the_best_is_said_by_groups():
    numbers = np.tile(np.arange(60), TIMES)
    once = worse_than_best(areas(lambda table: table), TABLE.member)
    grouped = worse_than_best(areas(lambda table: np.tile(table, TIMES)), np.tile(TABLE.member, TIMES), groups=numbers)
    np.testing.assert_allclose(list(grouped.values()), list(once.values()), rtol=1e-6)


def test_models_that_are_each_others_references_count_twice_where_nothing_stands_out():
    draw = np.random.default_rng(0)
    member = leaky_table(models=16, samples=200).member
    for apart, widened in ((0.0, True), (3.0, False)):
        scores = draw.normal(size=member.shape) + apart * member
        one, both = (evaluate(scores, member, each_other=each).auc for each in (False, True))
        assert (both.high - both.low > 1.15 * (one.high - one.low)) == widened
        assert both.high - both.low >= one.high - one.low
