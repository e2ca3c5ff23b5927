"""Claims about findings: each verdict follows from outcomes whose order is known."""

import numpy as np
import pytest
from outcomes import PRIVATE_FIRST, outcome
from scipy.stats import t

from quantmis.stats import Estimate, Unmeasured
from quantmis.studies.contrasts import (
    agreement,
    between,
    exposed_by_security,
    exposure,
    over,
    paired,
    ranks,
    security_agreement,
)
from quantmis.studies.findings import CLAIMS, Finding, findings, spoken

BY_INDICATOR = "sign is less private than 1.58 bit with 33 % zeros, by the indicator"
ORDER = "the order is 90 % zeros, 2 bit, sign, 50 %, 33 % zeros, 3, 4, 8 bit"
SIGN, THIRD, NINE_TENTHS = "sign", "ternary(sparsity=0.33)", "ternary(sparsity=0.9)"


def several(**options: object):
    return [outcome(f"problem {index}", noise=0.001 * index, **options) for index in range(5)]


def verdicts(outcomes) -> dict[str, str]:
    return {each.claim.text: each.verdict for each in findings(outcomes)}


def swapped(first: str, second: str) -> tuple[str, ...]:
    other = {first: second, second: first}
    return tuple(other.get(name, name) for name in PRIVATE_FIRST)


def test_the_prototypes_order_confirms_what_they_found():
    found = verdicts(several())
    assert found["1.58 bit with 90 % zeros is the most private"] == "confirmed"
    assert found[ORDER] == "confirmed"
    assert found["sign is more private than 1.58 bit with 33 % zeros"] == "confirmed"
    assert found["sign is less private than 1.58 bit with 33 % zeros"] == "contradicted"
    assert found[BY_INDICATOR] == "contradicted"
    assert found["2 bits give away less than 4"] == "confirmed"
    assert found["1.58 bit (half zeros) gives away less than 2 bits"] == "contradicted"


def test_another_order_contradicts_it():
    found = verdicts(several(order=swapped(NINE_TENTHS, THIRD)))
    assert found["1.58 bit with 90 % zeros is the most private"] == "contradicted"
    found = verdicts(several(order=swapped(SIGN, THIRD)))
    assert found["sign is less private than 1.58 bit with 33 % zeros"] == "confirmed"
    assert found[BY_INDICATOR] == "confirmed"


def with_each(each_outcome, **measured):
    quantizers = [each.model_copy(update={k: v(each) for k, v in measured.items()}) for each in each_outcome.quantizers]
    return each_outcome.model_copy(update={"quantizers": quantizers})


def test_a_rate_that_is_only_a_bound_says_nothing_of_sign():
    bound = lambda each: Estimate(0.5, 0.0, 0.5, reason="below resolution")  # noqa: E731
    assert verdicts([with_each(each, indicator=bound) for each in several()])[BY_INDICATOR] == "undecided"


def test_security_agrees_where_its_intervals_are_apart_and_has_no_order_elsewhere():
    narrow = with_each(outcome(), security=lambda each: Estimate(*[1 - each.lira.value] * 3))
    assert security_agreement(exposure)(narrow) == pytest.approx(1.0)
    bounds = with_each(outcome(), security=lambda each: Estimate(each.lira.value, 0.0, 1.0, reason="below resolution"))
    assert security_agreement(exposure)(bounds) is None
    assert security_agreement(exposure)(outcome()) is None


def test_a_difference_that_changes_from_problem_to_problem_is_undecided():
    mixed = [outcome(f"problem {i}", order=PRIVATE_FIRST if i % 2 else swapped(SIGN, THIRD)) for i in range(6)]
    found = verdicts(mixed)
    assert found["sign is less private than 1.58 bit with 33 % zeros"] == "undecided"


def test_equality_is_shown_by_closeness_not_by_doubt():
    text = "4 bits give away as much as full precision"
    assert verdicts(several(step=0.001))[text] == "confirmed"
    assert verdicts(several(step=0.02))[text] == "contradicted"


@pytest.mark.parametrize(("cost", "verdict"), [(0.1, "confirmed"), (-0.1, "contradicted")])
def test_the_cost_of_zeros_is_the_share_of_skill_lost(cost: float, verdict: str):
    outcomes = [outcome(f"p{i}", costs={NINE_TENTHS: cost + 0.001 * i}) for i in range(4)]
    assert verdicts(outcomes)["more sparsity costs utility"] == verdict
    assert outcomes[0].lost(NINE_TENTHS) == pytest.approx(cost / 0.4)


def test_regression_is_compared_with_classification():
    cheap = [outcome(f"c{i}", costs={NINE_TENTHS: 0.05 + 0.001 * i}) for i in range(4)]
    dear = [outcome(f"r{i}", kind="regression", costs={NINE_TENTHS: 0.2 + 0.001 * i}) for i in range(3)]
    assert verdicts([*cheap, *dear])["above all in regression"] == "confirmed"
    assert verdicts(cheap)["above all in regression"] == "undecided"


def test_a_model_worse_than_knowing_nothing_has_no_skill_to_lose():
    for metric, chance, skilled in (
        ("mae", 0.95, True),
        ("mae", 0.85, False),
        ("auroc", 0.85, True),
        ("auroc", 0.95, False),
    ):
        assert outcome(metric=metric, chance=chance).skilled == skilled  # its utility is 0.9, 0.89 to 0.91
    for metric, chance in (("mae", 0.905), ("auroc", 0.895), ("spearman", 0.95)):
        assert not outcome(metric=metric, chance=chance).skilled


def test_models_without_skill_do_not_turn_a_cost_round():
    able = [outcome(f"p{i}", metric="mae", chance=1.2, costs={NINE_TENTHS: -0.1 - 0.001 * i}) for i in range(4)]
    unable = [outcome(f"q{i}", metric="mae", chance=0.8, costs={NINE_TENTHS: -0.1 - 0.001 * i}) for i in range(4)]
    assert verdicts(able)["more sparsity costs utility"] == "confirmed"
    assert verdicts([*able, *unable]) == verdicts(able) | {}
    assert verdicts(unable)["more sparsity costs utility"] == "undecided"


def test_one_quantizer_out_of_place_refutes_an_order():
    moved = [name for name in PRIVATE_FIRST if name != "uniform(bits=2)"]
    moved.insert(5, "uniform(bits=2)")  # rank 6 instead of 2
    outcomes = several(order=tuple(moved))
    tau = agreement(lambda each: PRIVATE_FIRST.index(each.name), exposure)(outcomes[0])
    assert tau > 0.8  # far better than chance, and yet not the order
    assert verdicts(outcomes)[ORDER] == "contradicted"


@pytest.mark.parametrize(
    ("values", "verdict"),
    [
        ((0.9, 0.91, 0.92), "confirmed"),
        ((0.5, 0.52, 0.54), "contradicted"),
        ((0.7, 0.8, 0.9), "undecided"),
    ],
)
def test_orders_agree_from_nine_pairs_of_ten_on(values: tuple[float, ...], verdict: str):
    claim = next(each for each in CLAIMS if each.text.startswith("the indicator orders"))
    found = Estimate(values[1], values[0], values[2])
    assert claim.bar == 0.8
    assert Finding(claim, found).verdict == verdict
    assert "must exceed 0.8" in claim.meaning


def test_a_measure_that_was_not_measured_leaves_its_claim_undecided():
    found = [each for each in findings(several()) if "security" in each.claim.text]
    assert [each.verdict for each in found] == ["undecided"]
    assert isinstance(found[0].number, Unmeasured)


def test_every_claim_has_a_verdict_and_is_written_out():
    said = [str(each) for each in findings(several())]
    assert len(said) == len(CLAIMS) == 15
    assert all(each.startswith(("confirmed: ", "contradicted: ", "undecided: ")) for each in said)


def test_problems_of_one_cluster_count_once():
    shared = [outcome(f"p{i}", noise=0.01 * (i % 3), cluster=f"task {i % 3}") for i in range(30)]
    apart = [outcome(f"p{i}", noise=0.01 * i) for i in range(3)]
    number = lambda each: exposure(each.of(SIGN))  # noqa: E731
    assert over(shared, number).high == pytest.approx(over(apart, number).high)
    assert isinstance(over(shared[:1], number), Unmeasured)


def test_the_interval_of_a_mean_is_students():
    values = [0.0, 0.01, 0.02, 0.05]
    found = over([outcome(f"p{v}", noise=v) for v in values], lambda each: exposure(each.of(SIGN)) - 0.56)
    low, high = t.interval(0.95, 3, np.mean(values), np.std(values, ddof=1) / 2)
    assert (found.low, found.high) == (pytest.approx(low), pytest.approx(high))


def test_ranks_average_ties_and_count_from_the_least_exposed():
    rank = ranks(several(), exposure)
    assert [rank[name](outcome()) for name in PRIVATE_FIRST] == list(range(1, 11))
    assert {rank[name](outcome(step=0.0)) for name in PRIVATE_FIRST} == {5.5}
    assert ranks(several(), exposed_by_security)[SIGN](outcome()) is None


def test_agreement_is_kendalls_tau():
    assert agreement(paired, exposure)(outcome()) == pytest.approx(1.0)
    assert agreement(lambda each: -each.lira.value, exposure)(outcome()) == pytest.approx(-1.0)
    assert agreement(paired, exposure)(outcome(step=0.0)) is None


def test_two_problems_of_one_kind_and_three_of_the_other_are_needed_to_compare_kinds():
    for few in (([1.0], [1.0, 2.0, 3.0]), ([1.0, 2.0], [1.0, 2.0])):
        assert isinstance(between(*few), Unmeasured)
    assert isinstance(between([1.0, 2.0], [1.0, 2.0, 3.0]), Estimate)


def test_fewer_than_three_problems_have_no_interval():
    found = over(several()[:2], lambda each: exposure(each.of(SIGN)))
    assert isinstance(found, Unmeasured)
    assert found.reason.startswith("too few")


def test_no_interval_leaves_what_the_number_can_be():
    wide = [outcome(f"p{value}", noise=value) for value in (-0.55, 0.0, 0.43)]
    number = lambda each: exposure(each.of(SIGN))  # noqa: E731
    free, bounded = over(wide, number), over(wide, number, within=(0.0, 1.0))
    assert free.low < 0 < 1 < free.high
    assert (bounded.low, bounded.value, bounded.high) == (0.0, free.value, 1.0)


def test_a_number_that_never_changes_says_so_instead_of_an_interval_of_no_width():
    assert spoken(over(several(), ranks(several(), exposure)[NINE_TENTHS]), 1) == "1.0 (every time)"


def test_a_finding_at_zero_is_undecided():
    assert Finding(CLAIMS[0], Estimate(0.1, 0.0, 0.2)).verdict == "undecided"
