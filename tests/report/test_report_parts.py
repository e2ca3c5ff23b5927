"""Numbers in words, gaps, labels and figures: the parts that the page is made of."""

import re
import xml.etree.ElementTree as ElementTree
from itertools import combinations

import documents
import numpy as np
import pytest
from documents import document
from hypothesis import given, settings
from hypothesis import strategies as st

from quantmis.measures import NOT_IN_DOCUMENT
from quantmis.report import choices, figures, lines, tables, words
from quantmis.report.gaps import gaps
from quantmis.report.html import render
from quantmis.report.labels import Box, arrange
from quantmis.report.reading import places, smallest_rate
from quantmis.report.svg import Styles
from quantmis.results import Results
from quantmis.stats import Estimate, Unmeasured


@given(st.text(max_size=300))
def test_a_cleaned_name_is_short_and_wholly_visible(text: str):
    cleaned = words.clean(text)
    assert len(cleaned) <= words.NAME_LIMIT
    assert not set(cleaned) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u2069\u200f\x00\x1b\n")


@pytest.mark.parametrize(("value", "expected"), [(-0.0004, "0.00"), (-1.234, f"{words.MINUS}1.23"), (2.0, "2.00")])
def test_a_number_has_a_true_minus_and_no_negative_zero(value: float, expected: str):
    assert words.fixed(value, 2) == expected


@pytest.mark.parametrize(("reach", "expected"), [(0.026, "0.71 (0.69 to 0.74)"), (0.0026, "0.712 (0.709 to 0.715)")])
def test_a_number_has_the_digits_that_its_interval_supports(reach: float, expected: str):
    assert words.number(Estimate(0.712, 0.712 - reach, 0.712 + reach)) == expected


def test_a_bound_says_that_it_is_one():
    assert words.number(Estimate(0.1, 0.0, 0.2, reason="below what 64 models resolve")).endswith(
        "a bound only: below what 64 models resolve"
    )


def test_every_reason_is_listed_once_with_all_its_places():
    found = {gap.reason: gap.places for gap in gaps(document())}
    assert found["boundary flux is not part of this audit"] == ("MIS by theory: all 10 versions",)
    assert "lira, adaptive, members found, at 0.1 % false alarms: all 10 versions" in found[documents.FEW_OTHERS.reason]
    assert found["not run: asks for 16 further trainings"] == ("controls, planted leak",)


def test_a_measure_without_a_number_is_named_as_a_sentence_names_it():
    why, results = Unmeasured("why"), document({"sign": 0.5})
    record = results.versions[0].with_measures(attack_accuracy=why, attack_accuracy_change=why, perplexity=why)
    outcome = documents.metrics(0.5).with_measures(epsilon_lower_bound=why)
    attack = record.attacks["lira"].model_copy(update={"adaptive": outcome})
    record = record.model_copy(update={"attacks": {"lira": attack}})
    (found,) = [gap for gap in gaps(results.model_copy(update={"versions": [record]})) if gap.reason == "why"]
    assert set(found.places) == {
        "how often an attacker is right: sign",
        "change against full precision: sign",
        "perplexity: sign",
        "lira, adaptive, epsilon at least: sign",
    }


def test_a_bound_with_a_reason_is_a_gap_too():
    results = document()
    record = results.versions[0].with_measures(indicator=Estimate(0.1, 0.0, 0.2, reason="a bound"))
    results = results.model_copy(update={"versions": [record, *results.versions[1:]]})
    assert [gap.places for gap in gaps(results) if gap.reason == "a bound"] == [("indicator r_Q: full precision",)]


def test_a_measure_that_the_document_does_not_know_has_a_reason_too():
    results = document()
    reason = NOT_IN_DOCUMENT.reason
    assert "distortion: all 10 versions" in {gap.reason: gap.places for gap in gaps(results)}[reason]
    table = tables.ranking(results, {reason: 7})
    assert ("Distortion", 7) in table.missing
    assert "Distortion" not in table.head


def test_a_cell_without_a_number_points_to_its_reason():
    cells = tables.numbers([Unmeasured("why"), Estimate(0.5, 0.4, 0.6)], {"why": 3})
    assert cells == [tables.Cell("not measured", "", 3), tables.Cell("0.5", "0.4 to 0.6", None)]


def test_ties_are_told_by_number():
    ranked = places(document(reach=0.4))
    assert {place.rank for place in ranked} == {"1\u201310"}
    assert ranked[0].tied == tuple(range(2, 11))


def meets(one: Box, other: Box) -> bool:
    across, up = 2 * abs(one.x - other.x), 2 * abs(one.y - other.y)
    return across < one.width + other.width and up < one.height + other.height


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.floats(20, 380), st.floats(20, 280)), min_size=1, max_size=25))
def test_labels_cover_neither_points_nor_each_other(spots: list[tuple[float, float]]):
    points, area = [Box(x, y, 10, 10) for x, y in spots], Box(200, 150, 400, 300)
    placed = arrange(points, [(16.0, 12.0)] * len(points), area)
    if placed is not None:
        assert not any(meets(one, other) for one, other in combinations(placed, 2))
        assert not any(meets(label, point) for label in placed for point in points)
        assert all(label.within(area) for label in placed)


def test_labels_that_find_no_room_are_given_up_together():
    assert arrange([Box(5, 5, 4, 4)], [(50, 12)], Box(5, 5, 10, 10)) is None


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(svg).iter("text")]


def wide(results: Results) -> list[str]:
    drawn = figures.front(results, Styles()).svg
    return texts(drawn[: drawn.index("</svg>") + 6])


def test_points_carry_their_names_where_there_is_room():
    assert "1 ternary(sparsity=0.9)" in wide(document())


def test_forty_points_carry_the_numbers_of_the_ranking():
    assert set(map(str, range(1, 41))) <= set(wide(documents.many()))


def test_figures_hold_no_colour_of_their_own_and_no_style_attribute():
    styles = Styles()
    drawn = figures.front(document(), styles).svg
    assert "style=" not in drawn
    assert "var(--accent)" in styles.sheet()
    assert "#0" not in styles.sheet()


def test_a_figure_of_the_same_document_is_the_same():
    assert figures.front(document(), Styles()) == figures.front(document(), Styles())


def test_a_name_in_a_figure_is_never_read_as_mathematics():
    drawn = wide(document({"identity": 1.0, "$\\frac{1}$": 0.1}))
    assert "1 $\\frac{1}$" in drawn


def test_a_figure_without_points_says_why():
    bare = [
        record.with_measures(attack_accuracy=Unmeasured("no attack"), indicator=Unmeasured("none"))
        for record in document().versions
    ]
    results = document().model_copy(update={"versions": bare})
    for figure in (figures.front(results, Styles()), figures.indicator(results, Styles())):
        assert figure.svg == ""
        assert "for no version" in figure.caption


def test_the_curves_are_shaded_below_the_smallest_rate_with_an_interval():
    found = [record.attacks["lira"].adaptive for record in document().versions]
    assert max(map(smallest_rate, found)) == 0.01


def test_of_many_curves_an_even_choice_is_drawn_and_counted():
    (_, panel), *others = figures.rocs(documents.many(), Styles())
    assert panel.caption == "8 of 40 versions are drawn, by their numbers in the ranking: 1, 5, 12, 22, 32, 36, 39, 40."
    assert len(others) == 5


def test_the_curves_of_full_precision_and_of_the_choice_are_always_drawn_and_named():
    (_, panel), *_ = figures.rocs(document(), Styles())
    assert {"full precision", documents.SPARSE, "uniform(bits=4)", "other versions"} <= set(texts(panel.svg))
    assert f"Curves of {documents.SPARSE}" in panel.svg


def test_a_curve_whose_first_point_lies_far_right_is_drawn_from_the_left_on():
    across, up = lines._reaching(np.array([0.0, 0.18, 1.0]), np.array([0.0, 0.36, 1.0]), 0.01)
    assert across[0] == 0.01
    assert up[0] == pytest.approx(0.02)
    assert np.all(np.diff(across) >= 0)


def test_every_label_is_nearer_to_its_own_point_than_to_another_where_that_is_asked_for():
    points = [Box(100, 100, 6, 6), Box(108, 100, 6, 6)]
    placed = arrange(points, [(8, 10)] * 2, Box(100, 100, 200, 200), nearest=True)
    assert placed is not None
    for label, own, other in zip(placed, points, reversed(points), strict=True):
        assert np.hypot(label.x - own.x, label.y - own.y) < np.hypot(label.x - other.x, label.y - other.y)


def test_a_figure_says_in_words_where_its_outermost_points_are():
    drawn = figures.front(document(), Styles()).svg
    assert f"{documents.SPARSE}: 52.4 % across, 88.3 % up" in drawn


def test_numbers_along_a_logarithmic_axis_do_not_run_into_each_other():
    results = document()
    spread = [
        each.with_measures(indicator=Estimate(10.0**-index, 10.0 ** -(index + 1), 10.0 ** (1 - index)))
        for index, each in enumerate(results.versions)
    ]
    drawn = figures.indicator(results.model_copy(update={"versions": spread}), Styles()).svg
    narrow = texts(drawn[drawn.index("</svg>") + 6 :])
    along = [text for text in narrow if re.fullmatch(r"1e[-+]?\d+|0\.0*1|10*", text) and len(text) > 2]
    assert 1 < len(along) <= 6


def test_an_indicator_beyond_all_bounds_is_drawn():
    results = document()
    wild = results.versions[0].with_measures(indicator=Estimate(1e50, 1e-90, 1e90))
    drawn = figures.indicator(results.model_copy(update={"versions": [wild, *results.versions[1:]]}), Styles())
    assert "<svg" in drawn.svg


def test_an_attack_that_finds_nobody_is_drawn_too():
    metrics = documents.metrics(0.5)
    flat = metrics.model_copy(update={"roc": metrics.roc.model_copy(update={"fpr": [0.0, 1.0], "tpr": [0.0, 1.0]})})
    results = document({"sign": 0.5})
    attack = results.versions[0].attacks["lira"].model_copy(update={"adaptive": flat})
    record = results.versions[0].model_copy(update={"attacks": {"lira": attack}})
    drawn = figures.rocs(results.model_copy(update={"versions": [record]}), Styles())
    assert np.size(drawn) == 2


def test_the_choice_in_short_calls_nothing_least_exposed_that_cannot_be_told_from_full_precision():
    rows = {row.name: row.cells[-1].text for row in choices.choices(document(reach=0.4), {}).rows}
    assert rows == {
        "uniform(bits=8)": "cannot be told apart from full precision by what it gives away",
        "full precision": "for comparison",
        documents.CHANNEL: "cannot be told apart from full precision by what it gives away",
    }


def test_the_choice_in_short_holds_what_protects_at_no_price_and_full_precision():
    rows = choices.choices(document(), {}).rows
    assert [(row.name, row.cells[-1].text) for row in rows] == [
        (documents.SPARSE, "gives away least"),
        ("uniform(bits=4)", "gives away less than full precision and keeps its accuracy, as far as the data tell"),
        ("full precision", "for comparison"),
    ]


@pytest.mark.parametrize(
    ("tau", "said"),
    [
        (Estimate(0.8, 0.6, 0.9), "alike, more often than chance would"),
        (Estimate(-0.5, -0.8, -0.2), "contrary to each other"),
    ],
)
def test_agreement_is_told_from_its_interval(tau: Estimate, said: str):
    (row,) = tables.agreements(agreeing(tau), {}).rows
    assert row.name == "Indicator r_Q and lira"
    assert row.cells[1].text == said
    assert tables.silent_agreements(agreeing(tau)) == []


@pytest.mark.parametrize("tau", [Estimate(0.3, -0.1, 0.6), Unmeasured("too few")])
def test_agreement_of_which_the_data_say_nothing_is_left_out_and_named(tau: Estimate | Unmeasured):
    results = agreeing(tau)
    assert tables.agreements(results, {}).rows == ()
    assert "Left out, because the data do not say whether they order the versions alike: Indicator r_Q and lira." in (
        render(results)
    )


def agreeing(tau: Estimate | Unmeasured) -> Results:
    return document().model_copy(update={"agreement": [document().agreement[0].model_copy(update={"tau": tau})]})
