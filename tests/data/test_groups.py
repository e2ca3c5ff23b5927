"""Claims about groups and copies: what belongs together is on one side, all models train on as many, and it is told."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

import quantmis as qm
from quantmis.attacks import LiRA
from quantmis.audit.execution.planning import membership
from quantmis.audit.options import AuditOptions
from quantmis.audit.settings import Settings
from quantmis.audit.target.target import Target
from quantmis.data.canaries import Planted, with_canaries
from quantmis.data.membership import complementary_halves, hold_out, joined
from quantmis.data.overlap import copies
from quantmis.data.subsets import can_be_halved, random_half
from quantmis.errors import UserError
from quantmis.evidence import Evidence


def settings() -> Settings:
    return Settings((), (LiRA(),), 8, 2, AuditOptions())


def together(member: np.ndarray, groups: np.ndarray) -> bool:
    return all(len(np.unique(member[:, groups == each], axis=1).T) == 1 for each in np.unique(groups))


@given(st.lists(st.integers(1, 9), min_size=1, max_size=12))
def test_what_can_be_halved_is_what_some_choice_halves(sizes: list[int]):
    sums = {0}
    for size in sizes:
        sums |= {each + size for each in sums}
    expected = sum(sizes) % 2 == 0 and sum(sizes) // 2 in sums
    assert can_be_halved(np.array(sizes)) == expected
    if expected:
        half = random_half(np.array(sizes), np.random.default_rng(0))
        assert 2 * np.array(sizes)[half].sum() == sum(sizes)


@pytest.mark.parametrize("groups", [600, 30])
def test_each_group_is_drawn_as_often_as_not_and_independently(groups: int):
    sizes = np.random.default_rng(1).integers(1, 6, groups)
    sizes[0] += sizes.sum() % 2
    draw = np.random.default_rng(0)
    halves = np.stack([random_half(sizes, draw) for _ in range(400)])
    assert (2 * halves @ sizes == sizes.sum()).all()
    assert np.abs(halves.mean(0) - 0.5).max() < 4.2 * 0.025  # 600 binomials of 400
    agreement = np.corrcoef(halves.T)[np.triu_indices(groups, 1)]
    assert abs(agreement.mean() + 1 / (groups - 1)) < 0.01  # as of any half
    assert np.abs(agreement).max() < 0.35


@given(st.integers(0, 100), st.integers(15, 60))
def test_groups_are_held_out_and_divided_whole(seed: int, number: int):
    draw = np.random.default_rng(seed)
    groups = draw.integers(0, number, 300)
    kept, held = hold_out(300, 1 / 3, draw, groups)
    assert sorted([*kept, *held]) == list(range(300))
    assert not set(groups[kept]) & set(groups[held])
    member = complementary_halves(6, len(kept), draw, groups[kept])
    assert (member.sum(1) == len(kept) // 2).all()
    assert (member[::2] ^ member[1::2]).all()
    assert together(member, groups[kept])


def test_without_groups_nothing_changes():
    for groups in (None, np.arange(60)):
        held = hold_out(60, 1 / 3, np.random.default_rng(3), groups)
        np.testing.assert_array_equal(held[0], np.sort(np.random.default_rng(3).permutation(60)[:40]))
        member = complementary_halves(4, 60, np.random.default_rng(3), groups)
        rows = np.random.default_rng(3).permuted(np.tile(np.arange(60) < 30, (2, 1)), axis=1)
        np.testing.assert_array_equal(member[::2], rows)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda draw: complementary_halves(2, 8, draw, np.repeat([0, 1], [6, 2])), "no choice of the 2 groups is half"),
        (lambda draw: hold_out(40, 1 / 3, draw, np.zeros(40, dtype=int)), "40 samples in 1 groups"),
    ],
)
def test_groups_that_cannot_be_divided_are_refused(call: Callable[[np.random.Generator], object], message: str):
    with pytest.raises(UserError) as refused:
        call(np.random.default_rng(0))
    assert message in str(refused.value)
    assert "leave out the largest groups" in (refused.value.hint or "")


def data(groups: object = None, samples: int = 120) -> qm.Samples:
    draw = np.random.default_rng(0)
    return qm.Samples(draw.normal(size=(samples, 5)), draw.integers(0, 2, samples), groups=groups)


def test_samples_keep_their_groups():
    groups = np.arange(120) // 4
    samples = data(groups)
    assert samples.groups is not None
    assert samples.groups.tolist() == groups.astype(str).tolist()
    taken = samples.take(np.arange(40, 80))
    assert taken.groups is not None
    assert taken.groups[0] == "10"
    planted = with_canaries(samples, 4, np.random.default_rng(0)).samples
    assert planted.groups is not None
    assert planted.groups[-4:].tolist() == ["canary 0", "canary 1", "canary 2", "canary 3"]
    np.testing.assert_array_equal(samples.replaced(samples.x * 2, samples.y).groups, samples.groups)
    assert len({data().digest(), samples.digest(), data(groups[::-1]).digest()}) == 3


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.arange(119), "groups: expected one per sample, 120, got shape [119]"),
        (np.ones(120), "groups: expected text or whole numbers, got float64"),
        ([""] * 120, "groups: 120 are empty"),
        (["\ud800"] * 120, "groups: some are no Unicode text"),
        ([None] * 120, "groups: expected text or whole numbers, got object"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_bad_groups_are_refused(groups: object, message: str):
    with pytest.raises(UserError) as refused:
        data(groups)
    assert message in str(refused.value)


def planned(samples: qm.Samples, target: Target | None = None) -> np.ndarray:
    return membership(Planted.none(samples), settings(), target)


def test_an_audit_keeps_groups_together_held_out_or_in_one_half():
    groups = np.random.default_rng(2).integers(0, 25, 120)
    member = planned(data(groups))
    assert together(member, groups)
    assert len(set(member.sum(1))) == 1
    assert 20 < (~member.any(0)).sum() < 60


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.zeros(120, dtype=int), "all samples are of one group"),
        (np.arange(120), "every sample is a group of its own"),
    ],
)
def test_groups_that_say_nothing_are_refused(groups: np.ndarray, message: str):
    with pytest.raises(UserError, match=message):
        planned(data(groups))


def test_groups_among_members_and_non_members_are_refused():
    rows, weights = np.arange(120), {}
    samples = data(rows // 4)
    with pytest.raises(UserError, match=r"1 groups lie in both members and non-members, the first is \['14'\]"):
        planned(samples, Target(weights, rows[:58], rows[58:]))
    with pytest.raises(UserError, match="1 groups lie in both members or non-members and the others"):
        planned(samples, Target(weights, rows[:40], rows[40:78]))
    member = planned(samples, Target(weights, rows[:60], rows[60:]))
    assert together(member, rows // 4)


def test_copies_of_rows_are_on_one_side_and_counted():
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 5)), draw.integers(0, 2, 60)
    samples = qm.Samples(np.tile(x, (4, 1)), np.tile(y, 4))
    assert (samples.copies.equal, samples.copies.near, samples.copies.number) == (180, 0, 180)
    member = planned(samples)
    assert together(member, np.tile(np.arange(60), 4))
    rounded = qm.Samples(np.concatenate([x, np.round(x, 4)]), np.tile(y, 2))
    assert (rounded.copies.equal, rounded.copies.near) == (0, 60)
    assert together(planned(rounded), np.tile(np.arange(60), 2))


def test_canaries_are_no_copies_of_the_samples_that_they_were_made_of():
    samples = data()
    planted = with_canaries(samples, 20, np.random.default_rng(0))
    plain = membership(planted, settings(), None)
    assert (plain[:, -20:].sum(0) == 4).all()
    grouped = membership(with_canaries(data(np.arange(120) // 3), 20, np.random.default_rng(0)), settings(), None)
    assert (grouped[:, -20:].sum(0) == 4).all()
    assert len(set(grouped.sum(1))) == 1


def test_other_targets_and_chance_make_no_copies():
    draw = np.random.default_rng(0)
    x = draw.normal(size=(200, 5)).astype(np.float32)
    assert copies(np.tile(x, (2, 1)), np.repeat([0, 1], 200)).number == 0
    assert copies(np.concatenate([x, x + 1e-6]), np.repeat([0, 1], 200)).number == 0
    assert copies(draw.random((5000, 1)).astype(np.float32), np.zeros(5000)).near == 0  # dense, and no copies
    assert copies(draw.random((5000, 5)).astype(np.float32), np.zeros(5000)).near == 0
    x[0, 0] = 1e9  # one outlier does not bring all the others together
    assert copies(x, np.zeros(200)).number == 0


def test_many_near_copies_take_no_time_and_are_one():
    draw = np.random.default_rng(0)
    x = np.concatenate([draw.normal(size=(500, 6)), draw.normal(size=(1, 6)) + 1e-6 * draw.normal(size=(3000, 6))])
    found = copies(x.astype(np.float32), np.zeros(3500))
    assert found.near == 2999
    assert len(np.unique(found.codes[500:])) == 1


def test_groups_and_copies_are_joined():
    assert joined(None, np.arange(5)) is None
    found = joined(np.array(["a", "a", "b", "c", "d"]), np.array([0, 1, 2, 1, 3]))
    assert found is not None
    assert found.tolist() == [0, 0, 1, 0, 2]


def test_groups_come_from_columns_and_arrays(tmp_path: Path):
    lines = [f"{row % 7}.5,{row % 2},p{row // 3}" for row in range(24)]
    (tmp_path / "t.csv").write_text("\n".join(["a,y,patient", *lines]))
    found = qm.read_samples(tmp_path / "t.csv", target="y", groups="patient", target_scale="none")
    assert found.groups is not None
    assert found.groups[[0, 3]].tolist() == ["p0", "p1"]
    assert found.x.shape == (24, 1)
    np.savez(tmp_path / "t.npz", x=np.eye(24), y=np.arange(24) % 2, patient=np.arange(24) // 3)
    stored = qm.read_samples(tmp_path / "t.npz", groups="patient")
    assert stored.groups is not None
    assert stored.groups[3] == "1"
    with pytest.raises(UserError, match=r"data\.groups: there is no column 'patent'"):
        qm.read_samples(tmp_path / "t.csv", target="y", groups="patent")
    with pytest.raises(UserError, match="is the target or the id"):
        qm.read_samples(tmp_path / "t.csv", target="y", groups="patient", features=["a", "patient"])
    (tmp_path / "t.csv").write_text("\n".join(["a,y,patient", *lines[:-1], "1,1,"]))
    with pytest.raises(UserError, match=r"data\.groups: column 'patient' has 1 missing values"):
        qm.read_samples(tmp_path / "t.csv", target="y", groups="patient")


def leak(groups: np.ndarray | None, copies_of: np.ndarray) -> float:
    """Return the AUC of LiRA where a model is 1 surer of what it was trained on, whichever copy of it that was."""
    draw = np.random.default_rng(0)
    member = complementary_halves(32, len(copies_of), draw, groups)
    trained = np.stack([np.isin(copies_of, copies_of[row]) for row in member])
    losses = draw.normal(size=len(copies_of)) + draw.normal(size=member.shape) - trained
    evidence = Evidence(losses, member)
    areas = list[float]()
    for model in range(0, 32, 8):
        others = evidence.rows([row for row in range(32) if row // 2 != model // 2])
        scores = LiRA().score(evidence.rows([model]), others)[0]
        areas.append(float(roc_auc_score(member[model], scores)))
    return float(np.mean(areas))


def test_copies_on_both_sides_hide_a_leak_that_is_there():
    """Each row four times turned a LiRA of .918 into .671: kept together, copies show what single rows do."""
    single, four = np.arange(400), np.tile(np.arange(100), 4)
    once, apart, kept = leak(None, single), leak(None, four), leak(four, four)
    assert once > 0.7
    assert apart < once - 0.1
    assert abs(kept - once) < 0.04
