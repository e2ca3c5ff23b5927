"""The ROC curve and what is read off it equal scikit-learn's, with ties and without, in any order."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from quantmis.errors import UserError
from quantmis.stats.roc import acceptance, auc, points, rate_at, roc, subset, tally, true_positive_rate

MEMBER = np.random.default_rng(1).random((4, 500)) < 0.4
SCORES = {
    "untied": np.random.default_rng(2).normal(size=(4, 500)) + MEMBER,
    "tied": np.round(np.random.default_rng(2).normal(size=(4, 500)) + MEMBER),
    "all tied": np.zeros((4, 500)),
    "separated": 1.0 * MEMBER,
    "inverted": -1.0 * MEMBER,
}


@pytest.fixture(params=list(SCORES))
def scores(request: pytest.FixtureRequest) -> np.ndarray:
    return SCORES[request.param]


def test_the_area_equals_scikit_learns(scores: np.ndarray):
    expected = roc_auc_score(MEMBER.ravel(), scores.ravel())
    assert auc(tally(scores, MEMBER), MEMBER).value == pytest.approx(expected, abs=1e-12)


def test_the_curve_equals_scikit_learns(scores: np.ndarray):
    curve = roc(scores, MEMBER)
    fpr, tpr, threshold = roc_curve(MEMBER.ravel(), scores.ravel(), drop_intermediate=False)
    for ours, theirs in ((curve.fpr, fpr), (curve.tpr, tpr), (curve.threshold, threshold)):
        np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-12)


@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), min_size=2, max_size=30))
def test_the_area_counts_pairs_with_ties_as_half(entries: list[tuple[int, bool]]):
    inside, outside = ([score for score, kind in entries if kind == side] for side in (True, False))
    if not inside or not outside:
        return
    pairs = [(a > b) + 0.5 * (a == b) for a in inside for b in outside]
    scores, member = np.array([[float(score) for score, _ in entries]]), np.array([[kind for _, kind in entries]])
    assert auc(tally(scores, member), member).value == pytest.approx(np.mean(pairs), abs=1e-12)


def test_order_of_models_and_samples_does_not_matter(scores: np.ndarray):
    draw = np.random.default_rng(3)
    rows, columns = draw.permutation(4), draw.permutation(500)
    shuffled = scores[rows][:, columns], MEMBER[rows][:, columns]
    assert auc(tally(*shuffled), shuffled[1]).value == pytest.approx(
        auc(tally(scores, MEMBER), MEMBER).value, abs=1e-12
    )
    np.testing.assert_array_equal(roc(*shuffled).tpr, roc(scores, MEMBER).tpr)


def test_influences_sum_to_nothing_and_predict_what_leaving_an_entry_out_does():
    scores, member = SCORES["tied"][:, :60], MEMBER[:, :60]
    area = auc(tally(scores, member), member)
    assert abs(area.influence.sum()) < 1e-12
    for cell in ((0, 0), (1, 5), (2, 30), (3, 59)):
        is_counted = np.ones(member.shape, dtype=bool)
        is_counted[cell] = False
        without = roc_auc_score(member[is_counted], scores[is_counted])
        among = member.sum() if member[cell] else (~member).sum()
        assert area.value - without == pytest.approx(area.influence[cell] * among / (among - 1), abs=1e-12)


@pytest.mark.parametrize("fpr", [0.01, 0.1, 0.37])
def test_the_rate_at_a_false_positive_rate_is_that_of_the_acceptance(scores: np.ndarray, fpr: float):
    counts = tally(scores, MEMBER)
    accepted = acceptance(counts, fpr)[counts.level]
    assert accepted[~MEMBER].mean() == pytest.approx(fpr, abs=1e-12)
    assert accepted[MEMBER].mean() == pytest.approx(rate_at(counts.curve, fpr), abs=1e-12)
    assert true_positive_rate(counts, MEMBER, fpr).influence[MEMBER].sum() == pytest.approx(0, abs=1e-12)


def test_the_rate_of_untied_scores_is_scikit_learns_within_one_step():
    fpr, tpr, _ = roc_curve(MEMBER.ravel(), SCORES["untied"].ravel(), drop_intermediate=False)
    allowed = tpr[fpr <= 0.1].max()
    assert allowed <= rate_at(roc(SCORES["untied"], MEMBER), 0.1) <= tpr[fpr > 0.1].min()


def test_rates_at_the_ends():
    curve = roc(SCORES["separated"], MEMBER)
    assert (rate_at(curve, 0.0), rate_at(curve, 1.0)) == (1.0, 1.0)
    assert rate_at(roc(SCORES["all tied"], MEMBER), 0.3) == pytest.approx(0.3)


def test_points_run_from_end_to_end_on_the_curve(scores: np.ndarray):
    curve = roc(scores, MEMBER)
    fpr, tpr = points(curve, 60)
    assert len(fpr) == 60
    assert (fpr[0], fpr[-1], tpr[-1]) == (0.0, 1.0, 1.0)
    assert (np.diff(fpr) >= 0).all()
    assert (np.diff(tpr) >= -1e-12).all()


def test_a_subset_counts_its_columns_only():
    columns = np.arange(500) < 100
    part = subset(tally(SCORES["tied"], MEMBER), MEMBER, columns)
    whole = tally(SCORES["tied"][:, columns], MEMBER[:, columns])
    assert part.trials == whole.trials
    is_counted = part.members + part.non_members > 0
    np.testing.assert_array_equal(part.members[is_counted], whole.members)


@pytest.mark.parametrize(
    ("scores", "member", "words"),
    [
        (np.full((1, 4), np.nan), np.array([[True, False, True, False]]), "NaN"),
        (np.zeros((1, 4)), np.ones((1, 4), dtype=bool), "only one kind"),
        (np.zeros((1, 4)), np.zeros((1, 4), dtype=bool), "only one kind"),
    ],
)
def test_what_has_no_curve_is_refused(scores: np.ndarray, member: np.ndarray, words: str):
    with pytest.raises(UserError, match=words):
        tally(scores, member)


@pytest.mark.usefixtures("unchecked")
def test_scores_of_another_shape_are_refused():
    with pytest.raises(UserError, match="expected shape"):
        tally(np.zeros((1, 3)), np.ones((1, 4), dtype=bool))
