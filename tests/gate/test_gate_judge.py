"""Claims about judging: the cautious end decides, too little evidence exceeds, and the audit itself comes first."""

from dataclasses import replace
from datetime import timedelta

import pytest
from documents import around, metrics
from hypothesis import given
from hypothesis import strategies as st
from judged import DIGEST, NOW, audited, bound, judged, of_sign, target, verdict, with_version

from quantmis.errors import UserError
from quantmis.gate.policy import limited
from quantmis.gate.verdict import Bench
from quantmis.measures.exposure_by_class import ClassExposure
from quantmis.measures.tpr_at_fpr import TPR_AT_FPR, RateAt, UnresolvedAt
from quantmis.results import AttackDescription, AttackMetrics, AttackResult, Control, Rank, Ranking
from quantmis.stats import Estimate, Unmeasured

RIGHT = "limits.attack_accuracy_at_most"
RATES = "limits.tpr at 0.01"
RATE_LIMIT = 'version = "sign"\n[[limits.tpr]]\nat_fpr = 0.01\nat_most = 0.05'


@given(value=st.floats(0, 1), reach=st.floats(0, 0.5), threshold=st.floats(0, 1))
def test_the_cautious_end_of_the_interval_decides_and_never_the_middle(value: float, reach: float, threshold: float):
    found, bench = Estimate(value, value - reach, value + reach), Bench("this model", "sign", 0.95)
    [most] = bench.hold("limit", "at most", threshold, found)
    [least] = bench.hold("limit", "at least", threshold, found)
    assert most.within == (found.high <= threshold)
    assert least.within == (found.low >= threshold)
    assert (most.judged, least.judged) == (found.high, found.low)


def test_an_attacker_is_judged_at_the_upper_end_and_security_at_the_lower():
    results = with_version(
        security_upper_bound=Estimate(0.9, 0.78, 1.0),
        attack_accuracy=Estimate(0.55, 0.5, 0.61),
        strongest_attack="lira",
    )
    exceeded = of_sign("limits", "attack_accuracy_at_most = 0.6", results)
    assert not exceeded.within
    assert exceeded.judged == pytest.approx(0.61)
    assert "0.55 (0.5 to 0.61 at level 0.95; lira), judged at 0.61" in exceeded.sentence
    assert of_sign("limits", "attack_accuracy_at_most = 0.62", results).within
    assert of_sign("limits", "security_upper_bound_at_least = 0.78", results).within
    secured = of_sign("limits", "security_upper_bound_at_least = 0.79", results)
    assert not secured.within
    assert "0.9 (0.78 to 1 at level 0.95; lira), judged at 0.78" in secured.sentence


@pytest.mark.parametrize(
    ("measure", "section", "limit"),
    [
        ("attack_accuracy", "limits", "attack_accuracy_at_most = 1.0"),
        ("security_upper_bound", "limits", "security_upper_bound_at_least = 0.0"),
        ("attack_accuracy_change", "limits", "attack_accuracy_change_at_most = 1.0"),
        ("exposure_by_class", "limits", "exposure_by_class_at_most = 1.0"),
        ("utility_change", "limits", "utility_change_at_least = -9.0"),
        ("utility", "limits", "utility_at_least = -9.0"),
        ("indicator", "limits", "indicator_at_least = 0.0"),
        ("indicator", "ranking", "indicator_rank_at_most = 99"),
        ("bits_per_weight", "limits", "bits_per_weight_at_most = 32.0"),
    ],
)
def test_what_was_not_measured_exceeds_even_the_widest_limit_with_its_reason(measure: str, section: str, limit: str):
    assert of_sign(section, limit).within
    found = of_sign(section, limit, with_version(**{measure: Unmeasured("the disk was full")}))
    assert not found.within
    assert "the disk was full" in found.sentence


def test_a_number_that_is_a_bound_only_is_too_little_evidence():
    bounded = Estimate(0.001, 0.0, 0.001, reason="below what 300 samples resolve")
    found = of_sign("limits", "indicator_at_least = 0.0", with_version(indicator=bounded))
    assert not found.within
    assert "below what 300 samples resolve" in found.sentence


def test_intervals_of_a_lower_level_than_asked_for_are_too_little_evidence():
    narrow = Estimate(0.55, 0.549, 0.551, level=0.5)
    found = of_sign("limits", "attack_accuracy_at_most = 0.9", with_version(attack_accuracy=narrow))
    assert not found.within
    assert "its interval is at level 0.5, and 0.95 is asked for" in found.sentence
    policy = 'version = "sign"\n[evidence]\nlevel_at_least = 0.5\n[limits]\nattack_accuracy_at_most = 0.9'
    assert verdict(judged(policy, with_version(attack_accuracy=narrow)), RIGHT).within


def test_the_attack_that_finds_most_members_counts_in_either_form():
    weak, strong = metrics(0.1), metrics(3.0)
    attacks = {"loss_threshold": AttackResult(adaptive=weak, transfer=strong), "lira": _adaptive(weak)}
    found = verdict(judged(RATE_LIMIT, with_version(attacks=attacks)), RATES)
    assert not found.within
    assert "loss_threshold, transfer" in found.found
    assert isinstance(found.measured, RateAt)
    rates = strong[TPR_AT_FPR]
    assert isinstance(rates, list)
    assert found.measured.high == max(rate.high for rate in rates if isinstance(rate, RateAt) and rate.fpr == 0.01)


def test_an_attack_that_is_told_too_much_does_not_count():
    strongest = "paired_replicates(folds=2)"
    results = with_version(attacks={"lira": _adaptive(metrics(0.1)), strongest: _adaptive(metrics(3.0))})
    described = {strongest: AttackDescription(description="", bounds_security=False)}
    assert verdict(judged(RATE_LIMIT, results.model_copy(update={"attacks": described})), RATES).within


def test_an_attack_of_which_nothing_is_said_counts():
    results = with_version(attacks={"lira": _adaptive(metrics(0.1)), "mine": _adaptive(metrics(3.0))})
    assert "mine" not in results.attacks
    found = verdict(judged(RATE_LIMIT, results), RATES)
    assert not found.within
    assert "mine, adaptive" in found.found


def test_a_rate_that_cannot_be_resolved_or_was_not_measured_exceeds():
    unresolved = metrics(0.1).with_measures(tpr_at_fpr=[UnresolvedAt("not resolvable with 40 non-members", fpr=0.01)])
    found = verdict(judged(RATE_LIMIT, with_version(attacks={"lira": _adaptive(unresolved)})), RATES)
    assert "not resolvable with 40 non-members" in found.sentence
    assert not found.within
    elsewhere = RATE_LIMIT.replace("0.01", "0.02")
    found = verdict(judged(elsewhere), RATES.replace("0.01", "0.02"))
    assert "the audit measured it at 0.1, 0.01, 0.001" in found.sentence
    assert not found.within
    nothing = with_version(attacks={"lira": AttackResult(adaptive=Unmeasured("a"), transfer=Unmeasured("b"))})
    assert "no attack that an attacker could carry out" in verdict(judged(RATE_LIMIT, nothing), RATES).sentence


def test_epsilon_is_that_of_the_strongest_attack_at_its_upper_end():
    attacks = {"lira": _adaptive(metrics(0.35)), "loss_threshold": _adaptive(metrics(0.1))}
    found = of_sign("limits", "epsilon_lower_bound_at_most = 0.4", with_version(attacks=attacks))
    assert found.judged == pytest.approx(1.2 * 0.35)
    assert "lira, adaptive" in found.found
    assert not found.within


def test_the_most_exposed_class_counts_and_one_that_was_not_measured_might_be_it():
    found = of_sign("limits", "exposure_by_class_at_most = 0.71")
    assert (found.within, found.judged) == (False, pytest.approx(0.72))
    assert "class 1" in found.sentence
    few, known = Unmeasured("two members"), around(0.5)
    classes = [ClassExposure(label=3, attack="lira", auc=few), ClassExposure(label=4, attack="lira", auc=known)]
    found = of_sign("limits", "exposure_by_class_at_most = 1.0", with_version(exposure_by_class=classes))
    assert not found.within
    assert "class 3: two members" in found.sentence
    assert "empty" in of_sign("limits", "exposure_by_class_at_most = 1.0", with_version(exposure_by_class=[])).reason


def test_a_drop_of_utility_is_judged_at_the_larger_end():
    assert of_sign("limits", "utility_change_at_least = -0.025").within
    assert not of_sign("limits", "utility_change_at_least = -0.0249").within
    worth = with_version(utility=Estimate(0.92, 0.9, 0.94), utility_metric="r2")
    assert of_sign("limits", "utility_at_least = 0.9", worth).within
    assert not of_sign("limits", "utility_at_least = 0.91", worth).within


def test_what_was_counted_is_held_as_it_is():
    assert of_sign("limits", "bits_per_weight_at_most = 1.01").within
    found = of_sign("limits", "bits_per_weight_at_most = 1.0")
    assert (found.within, found.judged) == (False, 1.01)


def test_a_limit_on_what_the_audit_has_no_meaning_for_exceeds():
    assert not of_sign("limits", "perplexity_at_most = 1000.0").within


def test_full_precision_costs_nothing_and_increases_nothing():
    policy = 'version = "identity"\n[limits]\nutility_change_at_least = 0.0\nattack_accuracy_change_at_most = 0.0'
    assert judged(policy).within


def test_ties_count_against_a_version():
    rows = [Rank(rank=1, name="identity", tied=["sign"]), Rank(rank=1, name="sign", tied=["identity"])]
    tied = audited(ranking=Ranking(criterion="c", rows=rows))
    found = of_sign("ranking", "rank_at_most = 1", tied)
    assert not found.within
    assert found.found == "place 1, and at worst 2: ties"
    assert of_sign("ranking", "rank_at_most = 2", tied).within


def test_a_version_that_was_chosen_of_several_is_judged_by_what_holds_of_all_together():
    chosen = Estimate(0.55, 0.49, 0.64)
    rows = [Rank(rank=1, name="identity", tied=["sign"]), Rank(rank=1, name="sign", tied=["identity"], chosen=chosen)]
    results = with_version(attack_accuracy=Estimate(0.55, 0.5, 0.61), security_upper_bound=Estimate(0.9, 0.78, 1.0))
    results = results.model_copy(update={"ranking": Ranking(criterion="c", rows=rows)})
    exceeded = of_sign("limits", "attack_accuracy_at_most = 0.63", results)
    assert not exceeded.within
    assert exceeded.judged == pytest.approx(0.64)
    assert of_sign("limits", "attack_accuracy_at_most = 0.65", results).within
    assert not of_sign("limits", "security_upper_bound_at_least = 0.73", results).within
    assert of_sign("limits", "security_upper_bound_at_least = 0.72", results).within


def test_a_version_that_was_not_ranked_exceeds_with_the_reason():
    found = of_sign("ranking", "rank_at_most = 9", audited(ranking=Ranking(criterion="not ranked: no bound", rows=[])))
    assert not found.within
    assert "not ranked: no bound" in found.sentence


def test_the_indicator_ranks_where_its_intervals_part():
    every = with_version(indicator=bound(0.5, 0.6))  # above all others beyond doubt
    assert of_sign("ranking", "indicator_rank_at_most = 1", every).within
    least = with_version(indicator=bound(1e-9, 2e-9))
    assert of_sign("ranking", "indicator_rank_at_most = 9", least).judged == 10
    unknown = audited()
    others = [
        each if each.name == "sign" else each.with_measures(indicator=Unmeasured("no replicates"))
        for each in unknown.versions
    ]
    found = of_sign("ranking", "indicator_rank_at_most = 9", unknown.model_copy(update={"versions": others}))
    assert found.judged == 10


ANY = "[limits]\nsecurity_upper_bound_at_least = 0.0\n"


def test_a_failed_control_exceeds_and_is_named():
    failed = Control(name="shuffled membership", version="sign", expected="0.5", found=around(0.7), passed=False)
    found = verdict(judged(ANY, audited(controls=[failed])), "evidence.failed_controls_at_most", None)
    assert not found.within
    assert "shuffled membership on sign" in found.sentence
    allowed = ANY + "[evidence]\nfailed_controls_at_most = 1"
    assert verdict(judged(allowed, audited(controls=[failed])), "evidence.failed_controls_at_most", None).within


def test_an_audit_that_no_control_tested_exceeds():
    unread = Control(name="matched noise", version="sign", expected="none", found=around(0.0))
    for controls in ([], [unread]):
        found = verdict(judged(ANY, audited(controls=controls)), "evidence.failed_controls_at_most", None)
        assert not found.within
        assert "not tested by any control" in found.sentence


def test_a_blind_baseline_that_tells_members_apart_comes_first_and_exceeds_unasked():
    judgement = judged(ANY, audited(target=target(differs=True)))
    first = judgement.verdicts[0]
    assert first.limit == "evidence.blind_baseline"
    assert not first.within
    assert "the two sets differ in distribution" in first.sentence
    assert judged(ANY, audited(target=target())).verdicts[0].within


def test_a_blind_baseline_that_was_not_measured_exceeds():
    judgement = judged(ANY, audited(target=target(blind=Unmeasured("only losses were given"))))
    assert not judgement.verdicts[0].within
    assert "only losses were given" in judgement.verdicts[0].sentence


def test_a_limit_on_the_blind_baseline_is_held_against_its_upper_end():
    policy = ANY + "[evidence]\nblind_baseline_at_most = 0.51"
    found = verdict(judged(policy, audited(target=target())), "evidence.blind_baseline_at_most", None)
    assert (found.within, found.judged) == (False, pytest.approx(0.52))


@pytest.mark.parametrize(("days", "within"), [(9, False), (10, True), (11, True)])
def test_the_age_of_an_audit_is_limited(days: int, within: bool):
    policy = f"[evidence]\nage_in_days_at_most = {days}"
    assert verdict(judged(policy), "evidence.age_in_days_at_most", None).within == within


@pytest.mark.parametrize(("began", "why"), [("2999-01-01T00:00:00+00:00", "future"), ("lately", "'lately' is no date")])
def test_an_audit_of_no_known_age_exceeds(began: str, why: str):
    started = audited().environment.model_copy(update={"started": began})
    judgement = judged("[evidence]\nage_in_days_at_most = 1", audited(environment=started))
    found = verdict(judgement, "evidence.age_in_days_at_most", None)
    assert not found.within
    assert why in found.sentence


def test_a_time_without_a_zone_is_taken_for_utc():
    started = audited().environment.model_copy(update={"started": "2026-03-12T09:15:00"})
    policy = "[evidence]\nage_in_days_at_most = 0.5"
    assert verdict(judged(policy, audited(environment=started)), "evidence.age_in_days_at_most", None).within
    late = judged(policy, audited(environment=started), now=NOW + timedelta(days=1))
    assert not verdict(late, "evidence.age_in_days_at_most", None).within


@pytest.mark.parametrize("spelled", [DIGEST, DIGEST.upper(), f"sha256:{DIGEST}"])
def test_the_audited_weights_are_those_that_are_released(spelled: str):
    policy = f'[evidence]\nweights = "{spelled}"'
    assert verdict(judged(policy, audited(target=target())), "evidence.weights", None).within
    other = audited(target=target(digest="cd" * 32))
    assert not verdict(judged(policy, other), "evidence.weights", None).within
    found = verdict(judged(policy, audited()), "evidence.weights", None)
    assert not found.within
    assert "no trained model was given" in found.sentence


@pytest.mark.parametrize(
    ("limit", "within"),
    [
        ('depth = "indicator"', True),
        ('depth = "shadow"', True),
        ("shadows_at_least = 64", True),
        ("shadows_at_least = 65", False),
    ],
)
def test_an_audit_must_have_looked_deep_enough(limit: str, within: bool):
    key = limit.partition(" ")[0]
    assert verdict(judged(f"[evidence]\n{limit}"), f"evidence.{key}", None).within == within


def test_a_shallow_audit_exceeds():
    shallow = audited(config=audited().config.model_copy(update={"depth": "indicator"}))
    assert not verdict(judged('[evidence]\ndepth = "shadow"', shallow), "evidence.depth", None).within


def test_attacks_that_must_have_been_carried_out_are_looked_for():
    assert of_sign("evidence", 'attacks = ["lira"]').within
    assert "none of the attacks" in of_sign("evidence", 'attacks = ["rmia"]').sentence
    failed = with_version(attacks={"lira": AttackResult(adaptive=Unmeasured("no references"), transfer=Unmeasured(""))})
    found = of_sign("evidence", 'attacks = ["lira"]', failed)
    assert not found.within
    assert "no references" in found.sentence


def test_every_version_is_judged_by_default_and_this_model_beside_this_training_algorithm():
    names = [each.name for each in audited().versions]
    judgement = judged(ANY, audited(target=target(ranking=Ranking(criterion="c", rows=[]))))
    pairs = [(each.about, each.version) for each in judgement.verdicts if each.version]
    assert sorted(name for about, name in pairs if about == "this training algorithm") == sorted(names)
    assert ("this model", "sign") in pairs


def test_a_version_that_was_measured_for_one_of_the_two_only_exceeds():
    policy = 'version = "sign"\n' + ANY
    results = audited(target=target(names=("identity",), ranking=Ranking(criterion="c", rows=[])))
    assert not verdict(judged(policy, results), "version", about="this model").within
    assert verdict(judged(policy, results), "limits.security_upper_bound_at_least").within


def test_a_version_made_elsewhere_is_judged_for_this_model_alone():
    ours = audited().version("sign").model_copy(update={"name": "our int8"})
    own = target(ranking=Ranking(criterion="c", rows=[]))
    results = audited(target=own.model_copy(update={"versions": [*own.versions, ours]}))
    judgement = judged('version = "our int8"\n' + ANY, results)
    assert verdict(judgement, "limits.security_upper_bound_at_least", "our int8", "this model").within
    assert not any(
        each.version == "our int8" and each.about == "this training algorithm" for each in judgement.verdicts
    )
    assert judgement.notes[-1].startswith("our int8: made elsewhere, and so judged for this model alone")
    both = judged('version = "our int8"\nabout = ["this model", "this training algorithm"]\n' + ANY, results)
    assert not verdict(both, "version", "our int8").within


def test_a_model_no_better_than_a_constant_guess_is_refused():
    own = target(ranking=Ranking(criterion="c", rows=[]))
    poor = own.versions[0].with_measures(gain_over_constant_guess=Estimate(0.01, -0.01, 0.03))
    results = audited(target=own.model_copy(update={"versions": [poor, *own.versions[1:]]}))
    found = verdict(judged(ANY, results), "evidence.hardly_learned", None)
    assert not found.within
    assert "not trained on these columns" in found.sentence
    assert not [
        each
        for each in judged(ANY + '\n[evidence]\nhardly_learned = "allow"', results).verdicts
        if "hardly" in each.limit
    ]
    known = results.model_copy(update={"target": results.target.model_copy(update={"stated": 0.9})})
    assert not [each for each in judged(ANY, known).verdicts if "hardly" in each.limit]


def test_a_version_that_knows_nothing_is_refused_where_full_precision_knows_more():
    useful, useless = around(0.8, 0.02), around(0.01, 0.02)
    records = [
        each.with_measures(gain_over_constant_guess=useless if each.name == "sign" else useful)
        for each in audited().versions
    ]
    results = audited(versions=records)
    refused = [each for each in judged(ANY, results).verdicts if not each.within and "hardly" in each.limit]
    assert [(each.version, each.limit) for each in refused] == [("sign", "evidence.hardly_learned")]
    allowed = judged(ANY + '\n[evidence]\nhardly_learned = "allow"', results)
    assert not [each for each in allowed.verdicts if "hardly" in each.limit]


@pytest.mark.parametrize(("limit", "within"), [(0.2, True), (0.1, False)])
def test_the_gap_between_members_and_others_is_limited_at_its_upper_end(limit: float, within: bool):
    results = with_version(generalization_gap=Estimate(0.09, 0.06, 0.12))
    assert of_sign("limits", f"generalization_gap_at_most = {limit}", results).within == within


def test_what_the_policy_is_about_must_have_been_measured():
    judgement = judged('version = "sign"\nabout = ["this model"]\n' + ANY)
    found = verdict(judgement, "version", about="this model")
    assert not found.within
    assert "no trained model was given" in found.sentence
    assert not any(each.about == "this training algorithm" for each in judgement.verdicts)


def test_what_was_not_judged_is_noted():
    assert judged(ANY).notes == ("this model was not judged: no trained model was given",)


def test_an_as_is_audit_is_about_this_model_alone():
    shallow = audited(config=audited().config.model_copy(update={"depth": "as-is"}), target=target(names=()))
    judgement = judged('version = "sign"\n' + ANY, shallow)
    assert verdict(judgement, "limits.security_upper_bound_at_least", about="this model").within
    assert judgement.notes == (
        "this training algorithm was not judged: an as-is audit trains no models, and so measures this model alone",
    )


def test_a_version_is_found_however_its_parameters_are_written():
    policy = "version = \"uniform(per='channel',bits = 4)\"\n" + ANY
    assert {each.version for each in judged(policy).verdicts} == {None, 'uniform(bits=4, per="channel")'}


def test_an_unknown_version_cannot_be_judged():
    with pytest.raises(UserError, match="holds no version 'uniform\\(bits=5\\)'") as refused:
        judged('version = ["sign", "uniform(bits=5)"]\n' + ANY)
    assert "did you mean 'uniform(bits=" in str(refused.value.hint)


def test_every_limit_has_a_verdict_in_the_order_of_the_measures():
    limits = list(limited())
    policy = 'version = "sign"\n[limits]\n' + "".join(f"{key} = 1.0\n" for key in limits)
    policy += "[[limits.tpr]]\nat_fpr = 0.01\nat_most = 1.0\n[ranking]\nrank_at_most = 9\nindicator_rank_at_most = 9\n"
    policy += '[evidence]\nattacks = ["lira"]\n'
    found = [each.limit for each in judged(policy).verdicts if each.version == "sign"]
    rest = ["limits.tpr at 0.01", "ranking.rank_at_most", "ranking.indicator_rank_at_most", "evidence.attacks"]
    assert found == [*(f"limits.{key}" for key in limits), *rest]
    assert limits[0] == "attack_accuracy_at_most"
    assert limits[-1] == "epsilon_lower_bound_at_most"


def test_a_number_just_beyond_its_limit_is_written_so_that_it_shows():
    bench = Bench("this model", "sign", 0.95)
    [found] = bench.hold("limit", "at most", 0.6, Estimate(0.6, 0.59, 0.6000001))
    assert "judged at 0.6000001" in found.found
    assert replace(found, within=True).subject == "sign, this model"


def _adaptive(found: AttackMetrics) -> AttackResult:
    return AttackResult(adaptive=found, transfer=Unmeasured("no transfer form"))
