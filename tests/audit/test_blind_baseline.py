"""Sets that do not differ are rarely said to, whole groups included; groups that make no sense are refused."""

import numpy as np
import pytest
from torch import nn

import quantmis as qm
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.target import blind_baseline as blind_module
from quantmis.audit.target.blind_baseline import blind_scores
from quantmis.audit.target.confounding import blind, check_confounded
from quantmis.data import Samples
from quantmis.errors import UserError
from quantmis.results import BlindBaseline
from quantmis.stats import Estimate


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
        told = blind_scores(samples, samples.y, member, seed, groups=group if size > 1 else None).baseline(0.95)
        alarms.append(told.differs)
    assert sum(alarms) <= 1


def test_whole_groups_taken_for_samples_look_like_a_difference_and_with_groups_do_not():
    samples, member, group = drawn(20, 20, seed=3)
    assert blind_scores(samples, samples.y, member, 0).baseline(0.999).differs
    assert not blind_scores(samples, samples.y, member, 0, groups=group).baseline(0.999).differs


def test_sets_that_do_differ_are_found_with_groups_too():
    samples, member, group = drawn(40, 4, seed=1, apart=3.0)
    assert blind_scores(samples, samples.y, member, 0, groups=group).baseline(0.95).differs


def test_the_sets_are_compared_once_whatever_is_asked_of_it(monkeypatch: pytest.MonkeyPatch):
    samples, member, _ = drawn(200, 1, seed=2)
    task = qm.Task(lambda: nn.Sequential(nn.Linear(4, 2)))
    target = qm.Target(nn.Sequential(nn.Linear(4, 2)), member, ~member, confounded="refuse")
    request = audit_request(task, samples, target, AuditOptions())
    fits, fit = list[str](), blind_module._cross_validated
    monkeypatch.setattr(blind_module, "_cross_validated", lambda *all_of: fits.append("one") or fit(*all_of))
    check_confounded(request)
    baseline = blind(request)
    assert len(fits) == 2, "one for each of the two classifiers"
    assert isinstance(baseline, BlindBaseline)
    assert isinstance(baseline.auc, Estimate)
    assert baseline.auc.level > 0.95, "both intervals hold together"


def test_groups_that_are_on_both_sides_or_too_few_are_refused():
    samples, member, group = drawn(40, 4, seed=1)
    with pytest.raises(UserError, match="both among members and among non-members"):
        blind_scores(samples, samples.y, member, 0, groups=np.roll(group, 2)).baseline(0.95)
    with pytest.raises(UserError, match="5 are needed"):
        blind_scores(samples, samples.y, member, 0, groups=np.where(member, 0, group + 1)).baseline(0.95)
