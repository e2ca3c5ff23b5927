"""Claims about means among some of the samples: what is not among them is no draw."""

import numpy as np
import pytest

from quantmis.stats.average import average, average_among


@pytest.mark.parametrize("successes", [0, 1, 40, 100])
def test_the_interval_of_a_share_is_that_of_the_samples_among_which_it_is_counted(successes: int):
    values = np.zeros((1, 1000))
    values[0, :successes] = 1.0
    among = np.arange(1000)[None] < 100
    found, alone = average_among(values, among), average(values[:, :100], among[:, :100])
    assert (found.value, found.low, found.high) == pytest.approx((alone.value, alone.low, alone.high), rel=0.03)


def test_groups_among_which_nothing_is_counted_are_no_draws():
    groups = np.repeat(np.arange(50), 4)
    values, among = np.zeros((1, 200)), np.arange(200)[None] < 80
    found, alone = (
        average_among(values, among, groups=groups),
        average(values[:, :80], among[:, :80], groups=groups[:80]),
    )
    assert (found.low, found.high) == pytest.approx((alone.low, alone.high), rel=0.1)
    assert found.high > average_among(values, among).high
