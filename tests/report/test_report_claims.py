"""No sentence claims what the numbers do not support, over generated audits with gaps and non-transitive ties.

The sentences are read back with regular expressions, and what they claim is checked against the numbers directly,
without the code that chose the words.
"""

import re
from itertools import combinations
from typing import Any

import documents
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from quantmis.measures import Measure
from quantmis.measures.attack_accuracy import ATTACK_ACCURACY
from quantmis.measures.attack_accuracy_change import ATTACK_ACCURACY_CHANGE
from quantmis.measures.security_upper_bound import SECURITY_UPPER_BOUND
from quantmis.measures.utility import UTILITY
from quantmis.measures.utility_change import UTILITY_CHANGE
from quantmis.report.verdict import verdict
from quantmis.results import Rank, Ranking, Results, VersionResult
from quantmis.stats import Estimate, Unmeasured

NAMES = ["identity", "alpha", "bravo", "charlie", "delta", "echo"]
LIST = r"((?:full precision|\w+)(?:(?:, | and )(?:full precision|\w+))*)"
OVER_FOUR = 5
NO_WHOLE = Unmeasured("full precision was not measured")


REACHES = st.sampled_from([0.001, 0.02, 0.1])
DIFFERENCE = st.one_of(st.none(), st.tuples(st.floats(-0.2, 0.2), REACHES))
VERSION = st.tuples(st.integers(60, 100), st.tuples(st.floats(0.6, 0.9), REACHES), DIFFERENCE, DIFFERENCE)
Drawn = tuple[int, list[Any], list[bool], str]
DRAWN = st.tuples(
    st.integers(0, 1),
    st.lists(VERSION, min_size=2, max_size=6),
    st.lists(st.booleans(), min_size=15, max_size=15),
    st.sampled_from(["shadow", "as-is"]),
)


def audit(drawn: Drawn) -> Results:
    """Build an audit of up to six versions whose ties need not be transitive and whose numbers may be missing."""
    first, versions, ties, depth = drawn
    records = [version(name, *each) for name, each in zip(NAMES[first:], versions, strict=False)]
    if first > 0:  # nothing differs from a full precision that was not measured
        records = [record.with_measures(attack_accuracy_change=NO_WHOLE, utility_change=NO_WHOLE) for record in records]
    pairs = combinations([record.name for record in records], 2)
    tied = {frozenset(pair) for pair, is_tied in zip(pairs, ties, strict=False) if is_tied}
    results = documents.assemble(records)
    ranking = rank({record.name: estimate(record, SECURITY_UPPER_BOUND).value for record in records}, tied)
    return results.model_copy(update={"ranking": ranking, "config": results.config.model_copy(update={"depth": depth})})


def version(name: str, bound: int, utility: Any, change: Any, utility_change: Any) -> VersionResult:
    low, high = bound / 100 - 0.03, bound / 100 + 0.03
    return documents.version(name, 0.5).with_measures(
        security_upper_bound=Estimate(bound / 100, low, high),
        attack_accuracy=Estimate(1 - bound / 200, 1 - high / 2, 1 - low / 2),
        utility=documents.around(*utility),
        attack_accuracy_change=difference(name, change),
        utility_change=difference(name, utility_change),
    )


def estimate(record: VersionResult, measure: Measure[Estimate]) -> Estimate:
    value = record[measure]
    assert isinstance(value, Estimate)
    return value


def difference(name: str, drawn: tuple[float, float] | None) -> Estimate | Unmeasured:
    if name == "identity":
        return documents.ITSELF
    return Unmeasured("not measured here") if drawn is None else documents.around(*drawn)


def rank(bounds: dict[str, float], tied: set[frozenset[str]]) -> Ranking:
    """Rank as an audit does: 1 + how many versions give away less beyond doubt; of equals the first named is first."""
    order = sorted(bounds, key=lambda name: (-bounds[name], list(bounds).index(name)))
    beaten = {name: sum(frozenset((name, other)) not in tied for other in order[: order.index(name)]) for name in order}
    rows = [
        Rank(rank=1 + beaten[name], name=name, tied=[o for o in order if frozenset((name, o)) in tied])
        for name in order
    ]
    return Ranking(criterion="generated", rows=rows)


def named(words: str) -> list[str]:
    return ["identity" if each == "full precision" else each for each in re.split(", | and ", words)]


def sentences(results: Results) -> list[str]:
    return [sentence.text for sentence in verdict(results)]


def claims(results: Results, pattern: str) -> list[list[str]]:
    return [named(found[1]) for text in sentences(results) for found in re.finditer(pattern, text)]


def tied(results: Results, one: str, other: str) -> bool:
    return any(row.name == one and other in row.tied for row in results.ranking.rows)


def tied_with_full_precision(results: Results, name: str) -> bool:
    """Return whether the data leave open which of a version and full precision gives away less."""
    change = results.version(name)[ATTACK_ACCURACY_CHANGE]
    open_ = isinstance(change, Estimate) and change.low <= 0 <= change.high
    return open_ or tied(results, name, "identity") or conflicting(results, name)


def conflicting(results: Results, name: str) -> bool:
    """Return whether the paired change and the ranking contradict each other, so that neither may be told."""
    change, order = results.version(name)[ATTACK_ACCURACY_CHANGE], [row.name for row in results.ranking.rows]
    if not isinstance(change, Estimate) or change.low <= 0 <= change.high:
        return False
    mine, whole = (estimate(results.version(each), SECURITY_UPPER_BOUND).value for each in (name, "identity"))
    lower = mine > whole or (mine == whole and order.index(name) < order.index("identity"))
    return lower != (change.high < 0)


checked = settings(max_examples=60, deadline=None)


@checked
@given(DRAWN)
def test_what_is_said_to_give_away_less_is_below_full_precision_in_pairs_and_not_tied_with_it(drawn: Drawn):
    results = audit(drawn)
    whole = any(record.name == "identity" for record in results.versions)
    said = claims(results, rf"(?:the|very) model, {LIST} gives? away least") if whole else []
    for names in said + claims(results, rf"model, {LIST} gives? away less than full precision"):
        for name in names:
            change = results.version(name)[ATTACK_ACCURACY_CHANGE]
            assert isinstance(change, Unmeasured) or change.high < 0
            assert not tied(results, name, "identity")


@checked
@given(DRAWN)
def test_what_is_said_to_give_away_least_is_beaten_by_nothing(drawn: Drawn):
    results = audit(drawn)
    rank_of = {row.name: row.rank for row in results.ranking.rows}
    for names in claims(results, rf"(?:the|very) model, {LIST} gives? away least"):
        assert {rank_of[name] for name in names} == {1}
        assert sorted(names) == sorted(name for name in rank_of if rank_of[name] == 1)


@checked
@given(DRAWN)
def test_what_is_said_to_be_alike_is_tied(drawn: Drawn):
    results = audit(drawn)
    for names in claims(results, rf"model, {LIST} give away le\w+(?: than full precision)? and cannot be told apart"):
        assert all(tied(results, one, other) for one, other in combinations(names, 2))
    for text in sentences(results):
        if text.startswith(f"The {len(results.versions)} versions"):
            assert {row.rank for row in results.ranking.rows} == {1}


@checked
@given(DRAWN)
def test_what_cannot_be_told_from_full_precision_is_not_separated_from_it(drawn: Drawn):
    results = audit(drawn)
    for pattern in (
        rf"^{LIST} cannot be told apart from \w+, and neither",
        rf": {LIST} cannot be told apart from full",
    ):
        for names in claims(results, pattern):
            assert all(tied_with_full_precision(results, name) for name in names)


@checked
@given(DRAWN)
def test_none_gives_away_less_only_where_none_is_separated(drawn: Drawn):
    results = audit(drawn)
    none = "none gives away measurably less|No quantized version gives away measurably less"
    if re.search(none, " ".join(sentences(results))):
        for record in results.versions:
            change = record[ATTACK_ACCURACY_CHANGE]
            separated = isinstance(change, Estimate) and change.high < 0
            assert not separated or tied_with_full_precision(results, record.name)


@checked
@given(DRAWN)
def test_a_cost_and_a_gain_are_beyond_doubt(drawn: Drawn):
    results = audit(drawn)
    verbs = {"costs": -1, "gains": 1}
    for text in sentences(results):
        for name, verb in re.findall(r"(\w+),? (costs|gains) ", text):
            if name in NAMES:
                assert separation(results, name) == verbs[verb]
        for name in re.findall(r"(\w+),? has an accuracy that the data do not tell", text):
            if name in NAMES:
                assert separation(results, name) == 0


def protecting(bounds: st.SearchStrategy[int], losses: list[float]) -> st.SearchStrategy[Any]:
    """Draw a version that gives away less than full precision, and loses one of `losses`, more or less surely."""
    change = st.tuples(st.floats(-0.2, -0.03), st.sampled_from([0.001, 0.02, 0.05]))
    lost = st.tuples(st.sampled_from(losses), st.sampled_from([0.001, 0.02]))
    return st.tuples(bounds, st.tuples(st.floats(0.6, 0.9), REACHES), change, lost)


WHOLE = st.tuples(st.integers(60, 74), st.tuples(st.floats(0.6, 0.9), REACHES), st.none(), st.none())
BARGAINS = st.tuples(
    st.just(0),
    st.builds(
        lambda whole, costly, cheap: [whole, *costly, cheap],
        WHOLE,
        st.lists(protecting(st.integers(80, 100), [-0.1, -0.03, 0.0]), min_size=1, max_size=4),
        protecting(st.integers(75, 88), [0.0]),
    ),
    st.lists(st.sampled_from([True, False, False, False]), min_size=15, max_size=15),
    st.sampled_from(["shadow", "as-is"]),
)
"""Audits of versions that mostly protect, some at no price, some at a clear one; full precision is the first."""


@pytest.mark.slow
@checked
@given(BARGAINS)
def test_a_bargain_is_not_shown_to_cost_anything(drawn: Drawn):
    results = audit(drawn)
    bargains = claims(results, rf"full precision, {LIST} gives? away less than full precision")
    bargains += claims(results, rf"full precision, {LIST} gives? away least")
    assume(bargains)  # hypothesis fails where hardly any audit has one, so that this never passes for want of any
    for name in [name for names in bargains for name in names]:
        assert separation(results, name) >= 0
        assert not tied_with_full_precision(results, name)
        assert estimate(results.version(name), ATTACK_ACCURACY_CHANGE).high < 0


def separation(results: Results, name: str) -> int:
    """Return -1 where the utility is below that of full precision beyond doubt, 1 where above, 0 where unknown."""
    record, whole = results.version(name), results.version("identity")
    change = record[UTILITY_CHANGE]
    if isinstance(change, Unmeasured):
        mine, theirs = estimate(record, UTILITY), estimate(whole, UTILITY)
        return (mine.low > theirs.high) - (mine.high < theirs.low)
    return (change.low > 0) - (change.high < 0)


@checked
@given(DRAWN)
def test_full_precision_is_spoken_of_only_where_it_was_audited(drawn: Drawn):
    results = audit(drawn)
    if not any(record.name == "identity" for record in results.versions):
        assert "full precision" not in " ".join(sentences(results))


@checked
@given(DRAWN)
def test_a_failed_attack_is_named_as_such_exactly_where_the_interval_reaches_a_coin(drawn: Drawn):
    results = audit(drawn)
    (names, *_) = claims(results, rf"^Against {LIST} our attacks did not") or [[]]
    reach = [record.name for record in results.versions if estimate(record, ATTACK_ACCURACY).low <= 0.5]
    assert names == reach or len(reach) > OVER_FOUR


@checked
@given(DRAWN)
def test_an_audit_of_the_very_model_says_so_and_no_other_does(drawn: Drawn):
    results = audit(drawn)
    text = " ".join(sentences(results))
    assert ("this very model" in text) == (results.config.depth == "as-is")
