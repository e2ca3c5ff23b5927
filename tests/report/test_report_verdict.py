"""What the verdict says, and what it must never say."""

import re

import documents
import numpy as np
import pytest
from documents import document

import quantmis.report.verdict as rules
from quantmis.report import choices, tables, words
from quantmis.report.cells import differences, rights
from quantmis.report.reading import attacker
from quantmis.report.verdict import verdict
from quantmis.results import BlindBaseline, Finding, Results, TargetResult
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.bound import security_upper_bound


def text(results: Results) -> str:
    return " ".join(sentence.text for sentence in verdict(results))


def without_bound(results: Results, name: str, reason: str) -> Results:
    records = [
        record.with_measures(attack_accuracy=Unmeasured(reason), security_upper_bound=Unmeasured(reason))
        if record.name == name
        else record
        for record in results.versions
    ]
    return results.model_copy(update={"versions": records})


def test_the_headline_names_the_least_exposed_version_and_how_often_an_attacker_is_right():
    strengths = {"identity": 1.1, "sign": 0.6, documents.SPARSE: 0.15}
    said = rules.headline(document(strengths, reach=0.06))
    assert said == (
        "Of 2 quantized versions of the model, ternary(sparsity=0.9) gives away least: an attacker who knows "
        "everything we tried is right 53 % of the time (at most 56 %), against 71 % for full precision."
    )


def test_the_rate_of_the_attacker_is_one_minus_half_of_the_bound_on_security():
    member = np.arange(800).reshape(2, 400) % 2 == 0
    scores = np.random.default_rng(3).normal(size=member.shape) + 0.7 * member
    bound = security_upper_bound({"lira": scores}, member)
    assert isinstance(bound.security, Estimate)
    right = attacker(documents.version("sign", 0.4).with_measures(attack_accuracy=bound.accuracy))
    assert isinstance(right, Estimate)
    assert 0.55 < right.low < right.value < right.high < 0.8
    halved = [1 - end / 2 for end in (bound.security.value, bound.security.high, bound.security.low)]
    assert [right.value, right.low, right.high] == pytest.approx(halved)


def with_gains(results: Results, **gains: Estimate) -> Results:
    """Return the document with the gain over a constant guess of each version: 0.8 but of those that are named."""
    names = {"identity": "identity", "sparse": documents.SPARSE}
    given = {names[key]: each for key, each in gains.items()}
    records = [
        record.with_measures(gain_over_constant_guess=given.get(record.name, Estimate(0.8, 0.78, 0.82)))
        for record in results.versions
    ]
    return results.model_copy(update={"versions": records})


def test_a_version_that_knows_nothing_is_never_headlined_and_is_marked():
    strengths = {"identity": 1.1, "sign": 0.6, documents.SPARSE: 0.0}
    useful = document(strengths, reach=0.01)
    assert "ternary(sparsity=0.9) gives away least" in rules.headline(with_gains(useful))
    useless = with_gains(useful, sparse=Estimate(0.0, -0.02, 0.02))
    assert "sign gives away less than full precision" in rules.headline(useless)
    assert "ternary(sparsity=0.9)" not in f"{rules.headline(useless)} {rules.decision(useless)} {rules.price(useless)}"
    marked = {row.name: [cell.text for cell in row.cells] for row in tables.ranking(useless, {}).rows}
    no_better = {name: any("no better than a guess" in each for each in cells) for name, cells in marked.items()}
    assert no_better == {"full precision": False, "sign": False, "ternary(sparsity=0.9)": True}


def test_a_span_of_rates_has_one_number_of_decimals():
    """The lower end of one of them is no coin, and is written with a decimal: then so is the other."""
    results = document({"identity": 0.2, "sign": 0.1}, reach=0.03)
    span = re.search(r"right ([\d.]+) to ([\d.]+) %", rules.headline(results))
    assert span is not None
    assert len({len(each.partition(".")[2]) for each in span.groups()}) == 1


def test_where_full_precision_itself_is_a_guess_no_version_is_singled_out():
    guess = Estimate(0.0, -0.02, 0.02)
    results = with_gains(document(reach=0.01), identity=guess, sparse=guess)
    assert "ternary(sparsity=0.9) gives away least" in rules.headline(results)


def test_ties_are_said_to_be_indistinguishable():
    said = rules.headline(document(reach=0.08))
    assert "ternary(sparsity=0.9), uniform(bits=2), sign and ternary(sparsity=0.5) give away least" in said
    assert "cannot be told apart" in said


def test_when_nothing_separates_the_versions_none_is_named_the_best():
    said = text(document(reach=0.4))
    assert said.startswith(
        "The 10 versions of the model, full precision among them, cannot be told apart by what they give away"
    )
    assert "gives away least" not in said
    assert "No quantized version gives away measurably less than the model it was made from." in said


def test_full_precision_can_itself_be_the_least_exposed():
    said = text(document({"identity": 0.2, "sign": 1.0}))
    assert "none gives away measurably less than full precision" in said
    assert "Every quantized version gives away more than full precision does." in said
    assert "costs" not in said


def test_one_version_alone_is_not_compared():
    said = text(document({"sign": 0.5}))
    assert said.startswith("One version of the model was audited, sign: an attacker who knows everything")
    assert "least" not in said.split(".")[0]


def test_the_price_is_told_in_points_of_accuracy():
    said = rules.price(document())
    assert said == ("ternary(sparsity=0.9) costs 8.1 points of accuracy, between 7.7 and 8.5; 88.3 % against 96.4 %.")


def test_the_price_of_a_regression_is_told_in_its_own_metric():
    assert rules.price(document(metric="r2")) == (
        "ternary(sparsity=0.9) costs 0.0810 of r2, between 0.0770 and 0.0850; 0.883 against 0.964."
    )


def test_a_price_within_the_intervals_is_no_price():
    said = rules.price(document(utilities=dict.fromkeys(documents.STRENGTHS, 0.96)))
    assert "has an accuracy that the data do not tell from that of full precision" in said


def test_tied_leaders_are_priced_from_the_most_to_the_least_useful():
    said = rules.price(document(reach=0.08))
    assert said.startswith("The most useful of the least exposed, ternary(sparsity=0.5), costs 3.1 points of accuracy")
    assert "the least useful, ternary(sparsity=0.9), costs 8.1 points of accuracy" in said


def test_the_least_exposed_version_at_no_measurable_price_is_named():
    said = rules.bargain(document())
    assert said.startswith("Of those whose accuracy the data do not tell from that of full precision, uniform(bits=4)")


def test_where_protection_always_costs_the_verdict_says_so():
    utilities = {**dict.fromkeys(documents.STRENGTHS, 0.9), "identity": 0.96}
    assert rules.bargain(document(utilities=utilities)).startswith(
        "No version whose accuracy the data do not tell from that of full precision gives"
    )


# which version may ship


def decided(results: Results) -> str:
    [said] = [each.text for each in verdict(results) if each.kind == "decision"]
    return said


def test_the_decision_names_the_versions_of_the_choice_with_their_exposure_and_leaves_the_limit_to_the_gate():
    said = decided(document())
    assert "uniform(bits=4), where accuracy must not measurably drop (an attacker is right 68 %" in said
    assert "ternary(sparsity=0.9), the least exposed, where little exposure is worth its price" in said
    assert "95 % interval 51 to 53 %" in said
    assert "`quantmis gate` holds the audit against them" in said


def test_of_tied_leaders_the_most_useful_is_named_and_exposure_is_told_of_it():
    results = document(reach=0.08)
    assert "ternary(sparsity=0.5), the most useful of the least exposed" in decided(results)
    assert "against ternary(sparsity=0.5)" in str(rules.most_exposed(results))


def test_what_is_said_of_a_chosen_version_holds_for_all_together_and_of_tied_ones_against_the_least_exposed():
    results = document(reach=0.08)
    rows = [
        row.model_copy(update={"chosen": Estimate(0.6, 0.5, 0.77), "at_most_more": 0.0312})
        for row in results.ranking.rows
    ]
    said = decided(results.model_copy(update={"ranking": results.ranking.model_copy(update={"rows": rows})}))
    assert f"50 to 77 %, which holds for all {len(rows)} versions together" in said
    assert "; at most 3.1 points more than about the least exposed" in said
    assert "together" not in decided(results)


def test_a_loss_that_the_data_still_allow_is_said():
    said = decided(document(utilities=dict.fromkeys(documents.STRENGTHS, 0.96)))
    assert "a loss of up to 0.4 points of accuracy stays possible" in said


def test_where_nothing_is_told_from_full_precision_no_version_is_named():
    assert "none gives away measurably less than full precision, so choose" in decided(document(reach=0.4))
    only = {name: strength for name, strength in documents.STRENGTHS.items() if name != "identity"}
    assert "none gives away measurably less than any other" in decided(document(only, reach=0.4))


def test_an_audit_that_cannot_be_relied_on_names_no_version():
    broken = document().model_copy(update={"controls": documents.controls(shuffled=0.56)})
    assert decided(broken).endswith("none can be named, because the audit failed its own checks.")
    assert "members and non-members differ" in decided(documents.given(document(), differs=True))


def test_the_model_that_ships_leads_and_models_trained_like_it_follow():
    lines = [each.text for each in verdict(documents.given(document()))]
    assert lines[0].startswith("Of 9 quantized versions of this very model")
    (alike,) = [line for line in lines if "models trained like it, ternary(sparsity=0.9) gives away least" in line]
    assert lines.index(alike) > 3


def test_a_version_keeps_its_utility_only_where_models_trained_like_it_keep_it_too():
    alike = document({"identity": 1.1, "sign": 0.3}, {"identity": 0.96, "sign": 0.90})
    results = documents.given(alike, strengths={"identity": 1.1, "sign": 0.2})
    assert isinstance(results.target, TargetResult)
    unsure = [
        each.with_measures(utility_change=documents.around(-0.03, 0.05)) if each.name == "sign" else each
        for each in results.target.versions
    ]
    results = results.model_copy(update={"target": results.target.model_copy(update={"versions": unsure})})
    said = text(results)
    assert "models trained like it lose 6.0 points of accuracy, between 5.6 and 6.4, under sign" in said
    assert "sign, the least exposed, where little exposure is worth its price" in decided(results)
    assert "measurably drop" not in decided(results)


def test_a_bargain_that_is_tied_with_another_version_is_not_called_least():
    strengths = {"identity": 1.0, "alpha": 0.6, "bravo": 0.8, "sign": 0.1}
    results = document(strengths, {"identity": 0.96, "alpha": 0.96, "bravo": 0.96, "sign": 0.8}, reach=0.06)
    said = rules.bargain(results)
    assert "alpha gives away less than full precision" in said
    assert said.endswith("But bravo cannot be told apart from it either.")


def test_what_makes_the_attacks_weak_is_said_at_once():
    weak = document().model_copy(update={"warnings": [Finding(code="QM002", text="few")]})
    lines = [each.text for each in verdict(weak)]
    assert lines[2].startswith("The exposure is probably larger than measured here: only 64 shadow models")
    assert "their attacks were not tried" in str(rules.understated(documents.as_is()))


def test_a_classifier_that_guesses_better_than_a_coin_is_mentioned_though_it_does_not_tell_the_sets_apart():
    results = documents.given(document())
    assert isinstance(results.target, TargetResult)
    assert isinstance(results.target.blind, BlindBaseline)
    assert rules.hinted(results) is None
    blind = results.target.blind.model_copy(update={"balanced_accuracy": documents.around(0.55, 0.03)})
    results = results.model_copy(update={"target": results.target.model_copy(update={"blind": blind})})
    assert "right 55 % (52 to 58 %) of the time" in str(rules.hinted(results))


def test_an_interval_that_leaves_out_zero_is_not_written_to_reach_it():
    change = Estimate(-0.013, -0.022, -0.004)
    (cell,) = differences([change], {})
    assert cell.interval == f"{words.MINUS}2.2 to {words.MINUS}0.4"
    (cell,) = rights([Estimate(0.53, 0.502, 0.56)], {})
    assert cell.interval == "50.2 to 56.0 %"


def test_the_verdict_and_its_table_write_the_same_percentages():
    results = document(reach=0.013)
    cells = {row.name: row.cells[0] for row in choices.choices(results, {}).rows}
    assert f"{cells[documents.SPARSE].text} of the time" in rules.headline(results)
    assert f"against {cells['full precision'].text} for full precision" in rules.headline(results)


def test_a_failed_attack_proves_nothing():
    said = rules.no_better_than_a_coin(document({"identity": 1.1, "sign": 0.02}))
    assert said.startswith("Against sign our attacks did not do measurably better than a coin, which proves nothing")
    assert rules.no_better_than_a_coin(document({"identity": 1.1, "sign": 0.5})) is None


def test_the_most_exposed_records_are_not_hidden_behind_an_average():
    assert rules.most_exposed(document()) == (
        "With one false alarm in 100, lira finds 11 % (10 to 12 %) of the members against full precision, "
        "1.4 % (1.2 to 1.5 %) against ternary(sparsity=0.9) and 8.4 % (7.6 to 9.3 %) against uniform(bits=4); "
        "a coin finds 1 %."
    )


def test_an_unmeasured_version_is_named_with_the_reason():
    results = without_bound(document(), "sign", "only 12 samples")
    assert rules.unmeasured(results) == "How often an attacker is right about sign was not measured: only 12 samples."


def test_an_audit_without_any_bound_still_has_a_verdict():
    results = without_bound(document({"identity": 1.0}), "identity", "no attack was run")
    assert "was not measured" in text(results)


def test_a_failed_control_comes_first():
    results = document().model_copy(update={"controls": documents.controls(shuffled=0.56)})
    first = verdict(results)[0]
    assert first.kind == "alarm"
    assert first.text.startswith("Do not rely on this audit: it failed its own check “shuffled membership”")


def test_an_audit_that_ran_no_control_says_so():
    assert "None of the audit's own checks was run" in text(document().model_copy(update={"controls": []}))
    assert rules.no_control(document()) is None


def test_every_verdict_ends_with_what_the_numbers_do_not_say():
    assert verdict(document())[-1].text.endswith("the figures say how much is given away at least.")


@pytest.mark.parametrize("reach", [0.01, 0.05, 0.1, 0.4])
@pytest.mark.parametrize("metric", ["accuracy", "r2"])
def test_no_verdict_promises_anything(reach: float, metric: str):
    said = text(document(reach=reach, metric=metric))
    assert not re.search(r"\b(safe|safely|secure|secured|compliant|compliance|guarantee\w*|private)\b", said, re.I)


def test_names_that_change_the_direction_of_text_are_disarmed():
    said = text(document({"identity": 1.1, "evil\u202e\u2066name\x00" + "a" * 10_000: 0.1}))
    assert "\u202e" not in said
    assert "\x00" not in said
    assert len(said) < 2000
