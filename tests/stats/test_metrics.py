"""Metrics are what they are called, carry intervals or reasons, and do not depend on order or precision."""

import dataclasses

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from quantmis.errors import UserError
from quantmis.stats import (
    Estimate,
    Unmeasured,
    by_class,
    compare,
    evaluate,
    holm,
    most_exposed,
    require_groups,
    security_upper_bound,
)
from quantmis.stats.cluster import Linear, Spread, pair_id, spread
from quantmis.stats.compare import difference
from quantmis.stats.heldout import halves
from quantmis.stats.interval import clopper_pearson, wilson
from quantmis.stats.metrics import Metrics, Table
from quantmis.stats.roc import true_positive_rate
from quantmis.testing import leaky_table

TABLE = leaky_table()
SCORES, MEMBER = -TABLE.losses, TABLE.member


def numbers(metrics: Metrics) -> list[float]:
    named = {**vars(metrics), **metrics.tpr}
    return [end for each in named.values() if isinstance(each, Estimate) for end in (each.value, each.low, each.high)]


def test_every_metric_is_an_estimate_or_says_why_not():
    found = evaluate(SCORES, MEMBER)
    for each in (
        found.auc,
        found.advantage,
        found.balanced_accuracy,
        found.epsilon_low,
        found.tpr[0.1],
        found.tpr[0.01],
    ):
        assert isinstance(each, Estimate)
        assert each.low < each.value < each.high
        assert "clustered by sample and by model (16 models)" in each.method
    assert isinstance(found.tpr[0.001], Unmeasured)
    assert len(found.fpr_points) == len(found.tpr_points) == 60


def test_the_area_comes_out_the_same_from_plain_numpy():
    inside, outside = SCORES[MEMBER][:, None], SCORES[~MEMBER]
    assert evaluate(SCORES, MEMBER).auc.value == pytest.approx(((inside > outside) + (inside == outside) / 2).mean())


def test_the_advantage_is_that_of_decisions_and_below_the_best_found_afterwards():
    found = evaluate(SCORES, MEMBER)
    best = max((SCORES[MEMBER] >= at).mean() - (SCORES[~MEMBER] >= at).mean() for at in np.unique(SCORES))
    assert best - 0.03 < found.advantage.value <= best
    assert found.balanced_accuracy.value == pytest.approx((1 + found.advantage.value) / 2)


def test_epsilon_is_the_log_ratio_of_rates_somewhere_on_the_curve():
    found = evaluate(SCORES, MEMBER).epsilon_low
    ratios = [np.log((SCORES[MEMBER] >= at).mean() / (SCORES[~MEMBER] >= at).mean()) for at in np.unique(SCORES)[1:-1]]
    assert min(ratios) <= found.value <= max(ratios)
    assert found.value > 0.5


def test_an_inverted_attack_is_worth_as_much_because_the_half_that_chooses_chooses_the_direction_too():
    upright, inverted = evaluate(SCORES, MEMBER), evaluate(-SCORES, MEMBER)
    assert inverted.auc.high < 0.5
    assert inverted.advantage.value == pytest.approx(upright.advantage.value, abs=0.03)
    assert inverted.advantage.low > 0.15
    assert inverted.epsilon_low.low > 0


def test_members_that_do_worse_than_non_members_are_found_by_the_bound_and_it_says_that_it_was_reversed():
    worse = security_upper_bound({"loss": -SCORES}, MEMBER)
    assert worse.is_reversed
    assert not security_upper_bound({"loss": SCORES}, MEMBER).is_reversed
    assert worse.security.high < 0.85


def test_order_of_samples_does_not_matter():
    shuffled = np.random.default_rng(0).permutation(SCORES.shape[1])
    found = evaluate(SCORES[:, shuffled], MEMBER[:, shuffled])
    np.testing.assert_allclose(numbers(found), numbers(evaluate(SCORES, MEMBER)), rtol=0, atol=1e-12)


def test_order_of_samples_does_not_matter_to_the_bound_nor_to_comparisons():
    shuffled = np.random.default_rng(0).permutation(SCORES.shape[1])
    tables = {"loss": SCORES, "signal": np.round(TABLE.signals)}
    moved = {name: each[:, shuffled] for name, each in tables.items()}
    bounds = [security_upper_bound(*each).security for each in ((tables, MEMBER), (moved, MEMBER[:, shuffled]))]
    assert bounds[0].high == pytest.approx(bounds[1].high, abs=1e-12)
    [first], [second] = compare(tables, MEMBER), compare(moved, MEMBER[:, shuffled])
    assert (first.p, first.estimate.low) == pytest.approx((second.p, second.estimate.low), abs=1e-12)


def test_single_precision_gives_the_same_numbers():
    found = evaluate(SCORES.astype(np.float32), MEMBER)
    np.testing.assert_allclose(numbers(found), numbers(evaluate(SCORES, MEMBER)), rtol=0, atol=1e-4)


def test_a_higher_level_widens_every_interval():
    narrow, wide = evaluate(SCORES, MEMBER, level=0.8), evaluate(SCORES, MEMBER, level=0.99)
    for name in ("auc", "advantage", "balanced_accuracy", "epsilon_low"):
        first, second = getattr(narrow, name), getattr(wide, name)
        assert second.low < first.low < first.value == second.value < first.high < second.high


@pytest.mark.parametrize("models", [1, 2, 16])
@pytest.mark.parametrize("sign", [1, -1])
def test_certain_membership_has_an_interval_within_zero_and_one(models: int, sign: int):
    member = MEMBER[:models]
    area = evaluate(sign * 1.0 * member, member).auc
    assert area.value == (1.0 if sign > 0 else 0.0)
    assert 0.0 <= area.low < area.high <= 1.0
    assert area.high - area.low < 0.03


def test_scores_that_are_all_equal_are_a_coin():
    found = evaluate(np.zeros_like(SCORES), MEMBER)
    assert (found.auc.value, found.tpr[0.1].value, found.advantage.value) == (0.5, pytest.approx(0.1), 0.0)
    assert isinstance(found.epsilon_low, Unmeasured)


@pytest.mark.parametrize(("fpr", "measured"), [(0.1, True), (0.01, True), (0.0078, False), (0.001, False)])
def test_rates_below_ten_expected_false_positives_are_not_resolvable(fpr: float, measured: bool):
    found = evaluate(SCORES, MEMBER, false_positive_rates=(fpr,)).tpr[fpr]
    assert isinstance(found, Estimate) == measured
    if not measured:
        assert found.reason.startswith("not resolvable with 1280 non-members")


def test_a_handful_of_samples_measures_an_area_and_says_why_not_the_rest():
    found = evaluate(np.arange(6.0)[None], np.arange(6)[None] % 2 == 0)
    assert isinstance(found.auc, Estimate)
    for each in (found.advantage, found.balanced_accuracy, found.epsilon_low, found.tpr[0.1]):
        assert each.reason.startswith("not resolvable with 3 non-members")


def test_a_pair_of_models_says_nothing_of_other_trainings_and_says_so():
    pair = evaluate(SCORES[:2], MEMBER[:2]).auc
    assert "about these 2 models only" in pair.method
    assert "4 models" in evaluate(SCORES[:4], MEMBER[:4]).auc.method


def test_a_single_model_is_said_to_be_one():
    found = evaluate(SCORES[:1], MEMBER[:1])
    assert "about this model only" in found.auc.method
    assert "exact binomial" in found.epsilon_low.method


def test_the_halves_know_nothing_of_the_scores_and_follow_the_samples():
    half, shuffled = halves(SCORES, MEMBER), np.random.default_rng(0).permutation(SCORES.shape[1])
    assert half.sum() == SCORES.shape[1] / 2
    apart = [SCORES[0, halves(SCORES, MEMBER, seed)].mean() - SCORES[0].mean() for seed in range(200)]
    assert np.std(apart) == pytest.approx(SCORES[0].std() / SCORES.shape[1] ** 0.5, rel=0.15)
    np.testing.assert_array_equal(halves(SCORES[:, shuffled], MEMBER[:, shuffled]), half[shuffled])
    assert (halves(SCORES, MEMBER, seed=1) != half).any()


def test_the_halves_of_one_model_hold_as_many_members():
    half = halves(SCORES[:1], MEMBER[:1])
    assert MEMBER[0, half].sum() == MEMBER[0, ~half].sum()


@pytest.mark.parametrize("ties", [1, 40, 200])
def test_equal_samples_are_divided_at_random_and_not_in_equal_parts(ties: int):
    scores, member = (np.arange(400) // ties).astype(float)[None], np.arange(400)[None] % 2 == 0
    parts = [scores[0, halves(scores, member, seed) & member[0]].sum() for seed in range(200)]
    spread_of_parts = np.sqrt(200 * scores[0].var() / 4)
    assert np.std(parts) == pytest.approx(spread_of_parts, rel=0.15)


def test_samples_of_one_group_are_in_one_half_and_count_as_one_draw():
    groups = np.repeat(np.arange(40), 4)
    member = np.repeat(MEMBER[:1, :40], 4, axis=1)
    half = halves(SCORES[:1], member, groups=groups)
    assert (half.reshape(40, 4) == half.reshape(40, 4)[:, :1]).all()
    alike = np.repeat(SCORES[:1, :40], 4, axis=1)
    once, apart = evaluate(SCORES[:1, :40], MEMBER[:1, :40]).auc, evaluate(alike, member).auc
    together = evaluate(alike, member, groups=groups).auc
    assert apart.high - apart.low < 0.6 * (once.high - once.low)
    assert (together.low, together.high) == pytest.approx((once.low, once.high), abs=0.01)
    assert "group of samples" in together.method


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (np.zeros(6), "all samples are of one group"),
        (np.arange(6), "a group of its own"),
        (np.array([0, 0, 1, 1, 2, 2]), "both among members and among non-members"),
        (np.zeros(5), "group of each of 6 samples"),
    ],
)
@pytest.mark.usefixtures("unchecked")
def test_groups_that_say_nothing_or_stand_on_both_sides_are_refused(groups: np.ndarray, words: str):
    with pytest.raises(UserError, match=words):
        require_groups(groups, np.array([[True, False, True, False, True, False]]))
    require_groups(np.array([0, 1, 0, 1, 0, 1]), np.array([[True, False, True, False, True, False]]))


def test_the_bound_names_the_strongest_attack_and_ignores_the_rest():
    noise = np.random.default_rng(0).normal(size=SCORES.shape)
    alone = security_upper_bound({"loss": SCORES}, MEMBER)
    among = security_upper_bound({"noise": noise, "loss": SCORES, "inverted": -SCORES}, MEMBER)
    assert (alone.attack, among.attack) == ("loss", "loss")
    assert among.security.value == pytest.approx(alone.security.value, abs=0.03)
    assert among.security.value == pytest.approx(1 - evaluate(SCORES, MEMBER).advantage.value, abs=0.03)


def test_the_bound_names_both_attacks_where_the_halves_disagree():
    draw, member = np.random.default_rng(4), np.arange(24)[None] % 2 == 0
    names = {
        security_upper_bound({str(i): draw.normal(size=(1, 24)) for i in range(9)}, member).attack for _ in range(9)
    }
    assert any(", " in name for name in names)


def test_the_bound_of_a_handful_of_samples_is_unmeasured():
    found = security_upper_bound({"loss": np.arange(6.0)[None]}, np.arange(6)[None] % 2 == 0)
    assert "8 of each are needed" in found.security.reason


def test_a_bound_without_attacks_is_refused():
    with pytest.raises(UserError, match="at least one attack"):
        security_upper_bound({}, MEMBER)


def test_equal_quantizers_do_not_differ_at_all():
    [pair] = compare({"first": SCORES, "second": SCORES.copy()}, MEMBER)
    assert (pair.estimate.value, pair.p, pair.adjusted) == (0.0, 1.0, 1.0)


def test_every_two_quantizers_are_compared_and_corrected_for_their_number():
    noise = np.random.default_rng(0).normal(size=SCORES.shape)
    found = compare({"a": SCORES, "b": SCORES + noise, "c": SCORES + 3 * noise}, MEMBER)
    assert [(pair.first, pair.second) for pair in found] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert all(pair.adjusted >= pair.p for pair in found)
    expected = roc_auc_score(MEMBER.ravel(), SCORES.ravel()) - roc_auc_score(MEMBER.ravel(), (SCORES + noise).ravel())
    assert found[0].estimate.value == pytest.approx(expected)


def test_metrics_over_other_tables_are_not_compared():
    first, second = Linear(0.5, np.zeros((2, 3))), Linear(0.5, np.zeros((2, 4)))
    with pytest.raises(UserError, match="same models and samples"):
        difference(first, second, np.arange(2))


def test_a_difference_may_exceed_one_as_those_of_exposures_do():
    draw = np.random.default_rng(0)
    first, second = (Linear(at, draw.normal(size=(4, 50)) / 1000) for at in (0.9, -0.6))
    estimate, _ = difference(first, second, np.arange(4) // 2)
    assert estimate.low < estimate.value == 1.5 < estimate.high


def test_holm_equals_its_definition():
    draw = np.random.default_rng(0).random(7)
    order = np.argsort(draw)
    expected = [max(min(1, (7 - j) * draw[order[j]]) for j in range(i + 1)) for i in range(7)]
    np.testing.assert_allclose(holm(draw.tolist())[order], expected)


def test_kin_are_rows_of_equal_and_of_complementary_membership():
    member = np.array([[1, 0, 1], [0, 1, 1], [0, 1, 0], [1, 0, 1]], dtype=bool)
    assert pair_id(member).tolist() == [0, 1, 0, 0]


def test_the_variance_of_independent_entries_is_their_number():
    influence = np.random.default_rng(0).normal(size=(64, 300))
    assert spread(influence, np.arange(64) // 2).variance == pytest.approx(64 * 300, rel=0.25)


def test_the_variance_sees_effects_of_rows_and_of_columns():
    draw = np.random.default_rng(0)
    rows, columns = draw.normal(size=(64, 1)), draw.normal(size=(1, 300))
    expected = 64 * 300**2 + 300 * 64**2
    assert spread(rows + columns + np.zeros((64, 300)), np.arange(64)).variance == pytest.approx(expected, rel=0.4)


def test_wilsons_interval_of_a_count_is_the_textbooks():
    low, high = wilson(0.3, Spread(0.3 * 0.7 / 1000, np.inf, 1), level=0.95, units=10**9)
    assert (low, high) == pytest.approx((0.2724, 0.3291), abs=1e-4)


def test_exact_intervals_at_the_ends():
    assert clopper_pearson(10, 10, 0.95) == pytest.approx((0.6915, 1.0), abs=1e-4)
    assert clopper_pearson(0, 10, 0.95)[0] == 0.0


def test_classes_have_areas_of_their_own():
    label = np.arange(SCORES.shape[1]) % 3
    found = by_class(SCORES, MEMBER, label)
    chosen = label == 2
    assert found[2].value == pytest.approx(roc_auc_score(MEMBER[:, chosen].ravel(), SCORES[:, chosen].ravel()))
    assert list(found) == [0, 1, 2]


@pytest.mark.usefixtures("unchecked")
def test_labels_of_other_samples_are_refused():
    with pytest.raises(UserError, match="expected 160 labels"):
        by_class(SCORES, MEMBER, np.arange(3))


def test_exposure_of_a_sample_is_its_area_over_models():
    for each in most_exposed(SCORES, MEMBER, count=5):
        expected = roc_auc_score(MEMBER[:, each.sample], SCORES[:, each.sample])
        assert each.exposure.value == pytest.approx(expected, abs=1e-12)


def test_the_most_exposed_come_first_and_samples_without_both_kinds_are_left_out():
    member = MEMBER.copy()
    member[:, 0] = True
    found = most_exposed(SCORES, member, count=200)
    assert sorted(each.sample for each in found) == list(range(1, 160))
    values = [each.exposure.value for each in found]
    assert values == sorted(values, reverse=True)


def test_exposure_needs_models():
    assert "8 are needed" in most_exposed(SCORES[:4], MEMBER[:4]).reason


def test_metrics_are_values():
    assert dataclasses.is_dataclass(evaluate(SCORES, MEMBER))
    assert evaluate(SCORES, MEMBER) == evaluate(SCORES, MEMBER)


def test_a_rate_that_is_the_upper_end_of_a_step_reaches_down_from_its_lower_end():
    member = np.arange(400)[None] % 2 == 0
    scores = np.random.default_rng(0).normal(size=(1, 400)) + member
    non_members = np.sort(scores[~member])[::-1]
    between = (scores[member] > non_members[20]) & (scores[member] < non_members[19])  # one step, at 20 of 200
    assert between.any()
    found = evaluate(scores, member, false_positive_rates=(0.1,)).tpr
    upper = found[0.1]
    assert isinstance(upper, Estimate)
    assert upper.value == pytest.approx((scores[member] > non_members[20]).mean())
    table = Table.of(scores, member, 0.95)
    alone = table.proportion(true_positive_rate(table.counts, member, 0.1))
    assert upper.low == pytest.approx(alone.low - between.mean())
    assert upper.high == alone.high
