"""Claims about versions that are released together: what is gained is what theory says, or nothing."""

import time

import numpy as np
import pytest
from released import accuracy, members, together, world

from quantmis import Evidence, UserError
from quantmis.analysis import AnalysisSettings
from quantmis.analysis.release import joint_scores, release_sets
from quantmis.attacks import RMIA, LiRA, LossThreshold
from quantmis.joint import Features, JointLikelihoodRatio, aligned, from_references, over_pairs, over_samples
from quantmis.joint.features import normal_deviates
from quantmis.measures.release_attack_accuracy import release_attack_accuracy
from quantmis.measures.release_gain import release_gain
from quantmis.measures.release_strongest_alone import release_strongest_alone
from quantmis.measures.release_without import release_without
from quantmis.stats import Estimate, Unmeasured, evaluate

GAP = 0.6


@pytest.mark.slow
def test_the_gain_of_independent_noises_is_covered_as_often_as_stated():
    pairs, noises, worlds = 8, (1.0, 1.0), 60
    truth = accuracy(GAP, noises, pairs) - accuracy(GAP, noises[:1], pairs)
    found = [release_gain(together(world(np.random.default_rng(seed), GAP, noises, pairs))) for seed in range(worlds)]
    gains = [each for each in found if isinstance(each, Estimate)]
    assert sum(each.low <= truth <= each.high for each in gains) >= 0.88 * worlds  # 95 % of 60 less 2.5 errors
    assert np.mean([each.value for each in gains]) == pytest.approx(truth, abs=0.004)


def test_the_joint_ratio_of_many_models_is_as_right_as_the_theory_says():
    pairs, noises = 24, (1.0, 2.0, 0.5)
    versions = world(np.random.default_rng(0), GAP, noises, pairs, samples=1000)
    scores = JointLikelihoodRatio.fit(list(versions.values())).scores()
    member = versions["version 0"].member
    found = evaluate(scores, member).balanced_accuracy
    assert isinstance(found, Estimate)
    assert found.low < accuracy(GAP, noises, pairs) < found.high


def test_where_a_version_is_another_with_noise_nothing_is_gained():
    versions = world(np.random.default_rng(1), GAP, (0.0,), pairs=16, samples=600)
    whole = versions["version 0"]
    noisy = Evidence(whole.losses + np.random.default_rng(2).normal(size=whole.losses.shape), whole.member)
    gain = release_gain(together({"full": whole, "noisy": noisy}))
    assert isinstance(gain, Estimate)
    assert gain.low <= 0 <= gain.high


def test_redrawn_memberships_leave_nothing_to_find_together():
    versions = world(np.random.default_rng(3), 1.0, (1.0, 1.0), pairs=16, samples=600)
    other = members(np.random.default_rng(4), 16, 600)
    shuffled = {name: each.relabelled(other) for name, each in versions.items()}
    settings = AnalysisSettings((LossThreshold(), LiRA()), 32, 2, 0, 0.95)
    scores = joint_scores(shuffled, settings.attacks, settings)
    areas = [evaluate(each, other, 0.999).auc for each in scores.values() if not isinstance(each, Unmeasured)]
    assert len(areas) >= 5
    assert all(each.low <= 0.5 <= each.high for each in areas)
    gain = release_gain(together(shuffled))
    assert isinstance(gain, Estimate)
    assert gain.low <= 0 <= gain.high


def test_the_version_that_adds_most_is_the_one_with_least_noise():
    left = release_without(together(world(np.random.default_rng(5), 1.0, (2.0, 0.5, 2.0), pairs=16, samples=600)))
    assert not isinstance(left, Unmeasured)
    adds = {each.version: each.adds for each in left if isinstance(each.adds, Estimate)}
    assert max(adds, key=lambda name: adds[name].value) == "version 1"
    assert adds["version 1"].low > 0


def test_of_a_set_of_two_what_is_left_is_the_other_version():
    release = together(world(np.random.default_rng(6), 1.0, (1.0, 1.0)))
    assert "version 1" in release.without["version 0"].attack
    assert "version 0" not in release.without["version 0"].attack


def test_a_single_model_is_attacked_by_weights_learned_on_half_of_the_samples():
    rng = np.random.default_rng(7)
    member = np.arange(2000)[None] % 2 == 0
    full = rng.normal(size=member.shape) + GAP * member
    versions = {str(noise): Evidence(-(full + noise * rng.normal(size=full.shape)), member) for noise in (1.0, 1.001)}
    release = together(versions, (LossThreshold(),))
    assert isinstance(release.joint["joint_lira"], Unmeasured)
    right, alone = release_attack_accuracy(release), release_strongest_alone(release)
    assert isinstance(right, Estimate)
    assert isinstance(alone, Estimate)
    assert (
        right.low < accuracy(GAP, (1.0, 1.0), 10**6) < right.high
    )  # a level common to all samples needs no references
    assert alone.low < accuracy(GAP, (1.0,), 10**6) < alone.high


def test_a_stack_is_the_discriminant_of_an_independent_implementation():
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    rng = np.random.default_rng(8)
    member = members(rng, 2, 4000)
    features = [rng.normal(size=member.shape) + weight * member for weight in (0.5, 0.1, 0.0)]
    scores = over_pairs(features, member)
    flat = np.stack([each[2:].ravel() for each in features], axis=1)
    fitted = LinearDiscriminantAnalysis(solver="lsqr").fit(flat, member[2:].ravel())
    mine, other = scores[:2].ravel(), np.stack([each[:2].ravel() for each in features], axis=1) @ fitted.coef_[0]
    assert np.corrcoef(mine, other)[0, 1] > 0.9995


def test_the_weights_of_a_stack_never_saw_who_was_a_member_among_the_targets():
    rng = np.random.default_rng(9)
    member = members(rng, 3, 200)
    features = [rng.normal(size=member.shape) + member for _ in range(2)]
    before = over_pairs(features, member)
    other = np.concatenate([members(rng, 1, 200), member[2:]])  # the first pair trained on other samples
    assert np.allclose(over_pairs(features, other)[:2], before[:2])
    half = over_samples(features, member[:1].repeat(6, axis=0))
    assert half.shape == member.shape
    assert from_references(features, member, [each[:1] for each in features]).shape == (1, 200)


def test_a_stack_of_one_pair_is_refused():
    member = members(np.random.default_rng(0), 1, 20)
    with pytest.raises(UserError, match="learned on other pairs"):
        over_pairs([np.random.default_rng(0).normal(size=member.shape)], member)


def test_equal_scores_are_equal_deviates():
    assert normal_deviates(np.array([[1.0, 1.0, 2.0]])).round(3).tolist() == [[-0.431, -0.431, 0.967]]


def test_differences_of_versions_are_those_of_their_signals():
    versions = world(np.random.default_rng(0), GAP, (1.0, 1.0))
    tables = list(versions.values())
    signed, size = Features(tables, [{}, {}]).differences([0, 1])
    change = tables[1].signals - tables[0].signals
    assert np.array_equal(np.argsort(signed.ravel()), np.argsort(change.ravel()))
    assert np.array_equal(np.argsort(size.ravel()), np.argsort(np.abs(change).ravel()))


@pytest.mark.slow
def test_ten_versions_of_64_models_at_1198_samples_are_attacked_in_seconds():
    versions = world(np.random.default_rng(0), GAP, np.linspace(0.5, 2, 10), pairs=32, samples=1198)
    release_of = (LossThreshold(), LiRA(), RMIA())
    start = time.process_time()
    each = together({name: versions[name] for name in list(versions)[:1]} | versions, release_of)
    assert len(each.without) == 10
    assert time.process_time() - start < 60  # the attacks on each version included, on a busy machine


def test_release_sets_are_those_whose_versions_there_are():
    names = ["identity", "sign", "gguf"]
    assert release_sets(names, None) == [("identity", "sign", "gguf")]
    assert release_sets(names, []) == []
    assert release_sets(names[:2], [["identity", "gguf"], ["sign", "identity"]]) == [("sign", "identity")]


def test_tables_in_another_order_are_aligned_by_ids():
    versions = world(np.random.default_rng(0), GAP, (1.0, 1.0))
    first, second = versions.values()
    order = np.random.default_rng(1).permutation(first.samples)
    ids = {"a": np.arange(first.samples), "b": order}
    same = aligned({"a": first, "b": second.columns(order)}, ids)
    assert np.array_equal(same["b"].losses, second.losses)


def refused(message: str, tables: dict[str, Evidence], ids: dict[str, np.ndarray] | None = None) -> None:
    with pytest.raises(UserError, match=message):
        aligned(tables, ids)


def test_tables_that_say_nothing_together_are_refused():
    versions = world(np.random.default_rng(0), GAP, (1.0, 1.0))
    first, second = versions.values()
    number = np.arange(first.samples)
    refused("two versions or more, got 1", {"a": first})
    refused("b is over 16 models and 299 samples, a over 16 and 300", {"a": first, "b": second.columns(slice(299))})
    refused("others were members", {"a": first, "b": second.columns(number[::-1])})
    refused("there are no ids", {"a": first, "b": second}, {"a": number})
    refused("299 ids of 300", {"a": first, "b": second}, {"a": number, "b": number[1:]})
    refused("named twice", {"a": first, "b": second}, {"a": number, "b": np.maximum(number, 1)})
    refused("it lacks 0", {"a": first, "b": second}, {"a": number, "b": number + 1})
    labelled = [
        Evidence(each.losses, each.member, label=label) for each, label in ((first, number), (second, number * 2))
    ]
    refused("labels differ", {"a": labelled[0], "b": labelled[1]})
