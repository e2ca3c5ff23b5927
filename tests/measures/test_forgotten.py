"""Claims about what is left of samples that a model was made to forget: known answers, coverage, statements."""

import numpy as np
import pytest
from forgotten import FORGET, NEVER_SEEN, RETAINED, described, scored, world
from scipy import stats
from sklearn.metrics import roc_auc_score

from quantmis.measures.forget_auc import forget_auc
from quantmis.measures.forget_auc_before import forget_auc_before
from quantmis.measures.forget_auc_beyond_retrained import forget_auc_beyond_retrained
from quantmis.measures.forget_auc_change import forget_auc_change
from quantmis.measures.forget_auc_retained import forget_auc_retained
from quantmis.measures.forget_extracted import forget_extracted
from quantmis.measures.forget_extraction import at_least_once
from quantmis.measures.forget_quality import forget_quality
from quantmis.measures.forget_quality_retrained import forget_quality_retrained
from quantmis.measures.forget_utility import forget_utility
from quantmis.measures.forget_utility_change import forget_utility_change
from quantmis.measures.retained_utility import retained_utility
from quantmis.measures.utility import utility
from quantmis.report.forgotten import is_back
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.forgetting import area, quality

SAMPLES = FORGET + RETAINED + NEVER_SEEN
LAST = SAMPLES - NEVER_SEEN


def draw(seed: int = 0) -> np.ndarray:
    return np.round(np.random.default_rng(seed).normal(size=SAMPLES), 1)  # with ties


def test_the_auc_is_that_of_an_independent_implementation_in_any_order_and_with_ties():
    scores = draw()
    found = forget_auc(scored(scores))
    truth = roc_auc_score(np.arange(FORGET + NEVER_SEEN) < FORGET, np.r_[scores[:FORGET], scores[LAST:]])
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(truth)
    retained = forget_auc_retained(scored(scores))
    assert isinstance(retained, Estimate)
    assert retained.value == pytest.approx(roc_auc_score(np.arange(FORGET + RETAINED) < FORGET, scores[:LAST]))
    order, first = np.random.default_rng(1).permutation(SAMPLES), np.arange(SAMPLES) < FORGET
    other = np.arange(SAMPLES) >= LAST
    assert area(scores[order], first[order], other[order]).value == pytest.approx(truth)


def test_only_samples_of_one_class_are_compared():
    scores, label = draw(), np.arange(SAMPLES) % 3
    scores = scores + 10.0 * label  # a class that the model knows better shows nothing of what it remembers
    first, other = np.arange(SAMPLES) < FORGET, np.arange(SAMPLES) >= LAST
    weights = [np.mean(label[first] == each) for each in range(3)]
    areas = [area(scores, first & (label == each), other & (label == each)).value for each in range(3)]
    assert area(scores, first, other, label).value == pytest.approx(np.dot(weights, areas))
    skewed = first & (label != 0)
    assert area(scores, skewed, other).value > 0.6
    assert area(scores, skewed, other, label).value == pytest.approx(0.5, abs=0.1)


def test_the_influences_of_an_auc_add_up_to_the_variance_of_delong():
    scores = np.random.default_rng(2).normal(size=SAMPLES)
    first, other = np.arange(SAMPLES) < FORGET, np.arange(SAMPLES) >= LAST
    influence = area(scores, first, other).influence[0]
    one, two = scores[first][:, None], scores[other][None]
    rows, columns = (one > two).mean(1), (one > two).mean(0)
    assert np.sum(influence**2) == pytest.approx(rows.var() / FORGET + columns.var() / NEVER_SEEN)


def test_the_two_sample_test_is_that_of_scipy_and_of_ranks_within_classes():
    scores = np.random.default_rng(3).normal(size=SAMPLES)
    expected = stats.ks_2samp(scores[:FORGET], scores[LAST:]).pvalue
    assert forget_quality(scored(scores)) == pytest.approx(expected)
    assert forget_quality(scored(scores, label=np.zeros(SAMPLES, dtype=int))) == pytest.approx(expected)
    label = np.arange(SAMPLES) % 2
    assert forget_quality(scored(scores + 9 * label, label=label)) == forget_quality(scored(scores, label=label))


def test_the_two_sample_test_within_classes_is_wrong_no_more_often_than_it_says():
    rng, label = np.random.default_rng(4), np.arange(200) % 7
    first = rng.random(200) < 0.2 + 0.08 * label  # another mixture of classes on either side
    found = [quality(rng.normal(size=200) + label, first, ~first, label) for _ in range(400)]
    assert np.mean(np.array(found) < 0.05) < 0.08


def test_the_forget_quality_of_the_retrained_model_itself_is_one():
    scores = draw()
    whole = scored(scores, beside={"retrained": scores, "before": scores + 1.0})
    assert forget_quality_retrained(whole) == 1.0
    beyond, before = forget_auc_beyond_retrained(whole), forget_auc_before(whole)
    assert isinstance(beyond, Estimate)
    assert beyond.value == 0.0
    assert isinstance(before, Estimate)
    assert before.value == forget_auc(whole).value  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]


def test_a_version_that_the_other_model_was_not_put_through_says_so_and_one_without_another_model_nothing():
    scores = draw()
    whole = scored(scores, beside={"retrained": scores})
    assert isinstance(forget_quality_retrained(scored(scores, whole, name="gguf")), Unmeasured)
    assert isinstance(forget_auc_beyond_retrained(scored(scores, whole, name="gguf")), Unmeasured)
    assert forget_auc_before(whole) is None
    assert isinstance(forget_auc_change(whole), Unmeasured)


def test_utilities_are_means_over_what_was_forgotten_and_retained():
    scores = draw()
    whole, better = scored(scores), np.where(np.arange(SAMPLES) < FORGET // 2, 5.0, scores)
    version = scored(better, whole, name="sign")
    values = {each.__name__: each(version) for each in (forget_utility, retained_utility, utility)}
    assert values["forget_utility"].value == pytest.approx((better[:FORGET] > 0).mean())
    assert values["retained_utility"].value == pytest.approx((scores[FORGET:LAST] > 0).mean())
    assert values["utility"].value == pytest.approx((scores[LAST:] > 0).mean())
    change = forget_utility_change(version)
    assert isinstance(change, Estimate)
    assert change.value == pytest.approx((better[:FORGET] > 0).mean() - (scores[:FORGET] > 0).mean())
    assert change.low > 0


def test_what_was_forgotten_of_texts_is_counted_and_calculated():
    scores, by_heart = draw(), np.arange(SAMPLES) < 30
    whole = scored(scores, by_heart=by_heart, log_probability=np.log(np.full(SAMPLES, 0.01)))
    assert forget_extracted(whole) is None  # a classifier says nothing
    table = whole.table
    object.__setattr__(table, "metric", "log_likelihood")
    found = forget_extracted(whole)
    assert isinstance(found, Estimate)
    assert found.value == pytest.approx(30 / FORGET)
    many = described(whole)["forget_extraction"]
    assert [each.tries for each in many] == [1, 10, 100]
    assert [each.forget.value for each in many] == pytest.approx([1 - 0.99**n for n in (1, 10, 100)])
    assert at_least_once(np.array([0.0, -np.inf]), 10).tolist() == [1.0, 0.0]


def test_an_audit_that_was_not_told_what_to_forget_measures_none_of_it():
    version = scored(draw())
    object.__setattr__(version.table, "forgetting", None)
    record = described(version)
    assert not [name for name in record.measures if "forget" in name]
    assert "[target] forget names them" in record["forget_auc"].reason


@pytest.mark.parametrize("auc", [0.5, 0.7])
def test_intervals_cover_the_truth_as_often_as_stated(auc: float):
    rng, hits = np.random.default_rng(5), []
    for _ in range(300):
        whole, version = world(rng, (0.52, auc))
        area, change = forget_auc(version), forget_auc_change(version)
        assert isinstance(area, Estimate)
        assert isinstance(change, Estimate)
        hits.append((area.low <= auc <= area.high, change.low <= auc - 0.52 <= change.high))
        assert whole.is_full_precision
    assert all(0.91 <= share <= 0.985 for share in np.mean(hits, axis=0))


@pytest.mark.slow
def test_that_something_comes_back_is_said_wrongly_in_one_world_of_forty_and_rightly_in_most():
    rng = np.random.default_rng(6)

    def said(aucs: tuple[float, ...], worlds: int) -> float:
        """Return the share of worlds in which it is said of any version."""
        often = 0
        for _ in range(worlds):
            records = [described(each, "forget_auc", "forget_auc_change") for each in world(rng, aucs)]
            often += any(is_back(each, len(records) - 1) for each in records[1:])
        return often / worlds

    assert said((0.6,) * 5, 150) <= 0.06  # 2.5 % and 2.7 errors; four versions, nothing comes back
    assert said((0.52, 0.52, 0.71), 40) >= 0.9


def test_nothing_comes_back_where_a_retrained_model_shows_as_much():
    scores = draw()
    low = np.where(np.arange(SAMPLES) < FORGET, scores - 0.2, scores)
    whole, high = scored(low, beside={"retrained": low}), scores + np.where(np.arange(SAMPLES) < FORGET, 0.9, 0.0)
    alike = described(scored(high, whole, name="sign", beside={"retrained": high}))
    unlike = described(scored(high, whole, name="sign", beside={"retrained": low}))
    assert not is_back(alike, 1)
    assert is_back(unlike, 1)
