"""Sets that do not differ are rarely said to, whole groups included; groups that make no sense are refused."""

import numpy as np
import pytest

from quantmis.audit.target.blind_baseline import blind_baseline
from quantmis.data import Samples
from quantmis.errors import UserError


def drawn(groups: int, size: int, seed: int, apart: float = 0.0) -> tuple[Samples, np.ndarray, np.ndarray]:
    """Return samples that resemble those of their group, who is a member (whole groups), and the groups."""
    draw = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), size)
    member = (draw.permutation(groups) < groups // 2)[group]
    x = draw.normal(size=(groups, 4))[group] + 0.3 * draw.normal(size=(groups * size, 4)) + apart * member[:, None]
    return Samples(x.astype(np.float32), draw.integers(2, size=len(x))), member, group


@pytest.mark.slow
@pytest.mark.parametrize(("groups", "size"), [(120, 1), (40, 5)])
def test_sets_drawn_alike_are_rarely_said_to_differ(groups: int, size: int):
    alarms = []
    for seed in range(12):
        samples, member, group = drawn(groups, size, seed)
        told = blind_baseline(samples, samples.y, member, 0.95, seed, groups=group if size > 1 else None)
        alarms.append(told.differs)
    assert sum(alarms) <= 1


def test_whole_groups_taken_for_samples_look_like_a_difference_and_with_groups_do_not():
    samples, member, group = drawn(20, 20, seed=3)
    assert blind_baseline(samples, samples.y, member, 0.999, 0).differs
    assert not blind_baseline(samples, samples.y, member, 0.999, 0, groups=group).differs


def test_sets_that_do_differ_are_found_with_groups_too():
    samples, member, group = drawn(40, 4, seed=1, apart=3.0)
    assert blind_baseline(samples, samples.y, member, 0.95, 0, groups=group).differs


def test_groups_that_are_on_both_sides_or_too_few_are_refused():
    samples, member, group = drawn(40, 4, seed=1)
    with pytest.raises(UserError, match="both among members and among non-members"):
        blind_baseline(samples, samples.y, member, 0.95, 0, groups=np.roll(group, 2))
    with pytest.raises(UserError, match="5 are needed"):
        blind_baseline(samples, samples.y, member, 0.95, 0, groups=np.where(member, 0, group + 1))
