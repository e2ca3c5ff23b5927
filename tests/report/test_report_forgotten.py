"""Claims about what the report, the documents and the gate say of what was to be forgotten."""

import csv
import io

import pytest
from documents import around, document, given
from judged import NOW

from quantmis.documents import Source, dpia, markdown
from quantmis.documents import csv as table_file
from quantmis.gate import judge
from quantmis.gate.policy import parse
from quantmis.measures.forget_extraction import ForgetExtraction
from quantmis.report.forgotten import comes_back, utility_comes_back
from quantmis.report.html import render
from quantmis.report.verdict import verdict
from quantmis.results import BlindBaseline, Results, TargetResult, VersionResult
from quantmis.stats import Unmeasured

STRENGTHS = {"identity": 1.1, "uniform(bits=8)": 1.0, "uniform(bits=4)": 0.9}
ITSELF = Unmeasured("this is full precision itself")


def forgetful(
    *aucs: float, reach: float = 0.05, change_reach: float = 0.02, metric: str = "accuracy", **more: object
) -> Results:
    """Return an as-is audit of a model that was made to forget, whose versions tell what was forgotten so well."""
    whole = given(document(STRENGTHS, metric=metric), strengths=STRENGTHS)
    assert isinstance(whole.target, TargetResult)
    records = [_record(record, aucs, number, reach, change_reach, more) for number, record in enumerate(whole.versions)]
    config = whole.config.model_copy(update={"depth": "as-is"})
    target = whole.target.model_copy(update={"forget": 150, "versions": []})
    return whole.model_copy(update={"config": config, "target": target, "versions": records})


def _record(
    record: VersionResult, aucs: tuple[float, ...], number: int, reach: float, change_reach: float, more: dict
) -> VersionResult:
    known = 0.2 if number == 0 else 0.2 + 2 * (aucs[number] - aucs[0])
    values = {
        "forget_auc": around(aucs[number], reach),
        "forget_auc_change": around(aucs[number] - aucs[0], change_reach) if number else ITSELF,
        "forget_quality": 0.31,
        "forget_utility": around(known, 0.05),
        "forget_utility_change": around(known - 0.2, 0.02) if number else ITSELF,
        "retained_utility": around(0.97, 0.01),
    }
    return record.with_measures(**values, **more)


def source(results: Results) -> Source:
    return Source(results, "ab" * 32)


def test_what_comes_back_is_told_with_both_numbers_and_the_interval():
    assert comes_back(forgetful(0.52, 0.53, 0.71)) == (
        "Forgotten in full precision: AUC 0.52 (0.47 to 0.57) against records never seen; comes back in "
        "uniform(bits=4): AUC 0.52 \N{RIGHTWARDS ARROW} 0.71 (0.66 to 0.76)."
    )


@pytest.mark.parametrize(
    ("aucs", "reach", "change_reach", "begins", "ends"),
    [
        ((0.52, 0.52, 0.53), 0.05, 0.02, "Forgotten in full precision", "can be shown that more comes back."),
        ((0.52, 0.52, 0.71), 0.05, 0.18, "Forgotten in full precision", "can be shown that more comes back."),
        ((0.52, 0.52, 0.71), 0.25, 0.02, "Nothing shows in full precision", "can be shown that more comes back."),
        ((0.8, 0.8, 0.9), 0.05, 0.02, "Not forgotten in full precision", "0.90 (0.85 to 0.95)."),
        ((0.3, 0.3, 0.45), 0.05, 0.02, "In full precision the model does worse", "can be shown that more comes back."),
    ],
)
def test_nothing_is_said_that_the_interval_leaves_open(
    aucs: tuple[float, ...], reach: float, change_reach: float, begins: str, ends: str
):
    sentence = comes_back(forgetful(*aucs, reach=reach, change_reach=change_reach))
    assert sentence is not None
    assert sentence.startswith(begins)
    assert sentence.endswith(ends)


def test_intervals_of_many_versions_are_wider():
    two = forgetful(0.52, 0.52, 0.71, change_reach=0.16)  # two versions: 0.19 - 0.16 * 2.24 / 1.96 is above 0
    assert "comes back" in str(comes_back(two)).partition(";")[2]
    assert "more comes back" not in str(comes_back(two))
    assert "more comes back" in str(comes_back(forgetful(0.52, 0.52, 0.71, change_reach=0.17)))


def test_nothing_comes_back_beyond_a_retrained_model():
    assert "more comes back" in str(comes_back(forgetful(0.52, 0.52, 0.71, forget_auc_beyond_retrained=around(0.0))))
    beyond = forgetful(0.52, 0.52, 0.71, forget_auc_beyond_retrained=around(0.1))
    assert "; comes back in" in str(comes_back(beyond))


def test_what_a_model_knows_again_is_told():
    assert utility_comes_back(forgetful(0.5, 0.5, 0.6)) == (
        "On what was to be forgotten the accuracy is 20 % in full precision, 40 % in uniform(bits=4)."
    )
    assert utility_comes_back(forgetful(0.5, 0.5, 0.5)) is None


@pytest.mark.slow
def test_an_audit_without_a_forget_set_says_nothing_of_it():
    plain = given(document(STRENGTHS))
    assert comes_back(plain) is None
    assert not any("orgotten" in each.text for each in verdict(plain))
    assert "Made to forget" not in render(plain)
    assert "not told of records that were to be forgotten" in dpia.render(source(plain)).decode()


@pytest.mark.slow
def test_the_page_and_the_documents_have_the_numbers_of_every_version():
    texts = [ForgetExtraction(tries=n, forget=around(0.1), never_seen=around(0.05)) for n in (1, 10)]
    whole = forgetful(0.52, 0.53, 0.71, forget_extraction=texts)
    assert isinstance(whole.target, TargetResult)
    blind = BlindBaseline(method="trees", auc=around(0.8), balanced_accuracy=around(0.7), differs=True)
    whole = whole.model_copy(update={"target": whole.target.model_copy(update={"forget_blind": blind})})
    page = render(whole)
    for text in (
        "Made to forget",
        "comes back in uniform(bits=4)",
        "never seen, 10 tries",
        "the two differ by themselves",
    ):
        assert text in page
    assert "What is left of 150 records that were to be forgotten" in markdown.render(source(whole)).decode()
    assert "comes back in" in dpia.render(source(whole)).decode()
    rows = list(csv.DictReader(io.StringIO(table_file.render(source(whole)).decode())))
    by_name = {row["version"]: row for row in rows if row["about"] == "this model"}
    assert float(by_name["uniform(bits=4)"]["forget_auc"]) == pytest.approx(0.71)
    assert float(by_name["uniform(bits=4)"]["forget_extraction.10.forget"]) == pytest.approx(0.1)


def within(results: Results, limit: str) -> dict[str, bool]:
    judgement = judge(results, parse(f"[limits]\n{limit}".encode()), NOW)
    return {str(each.version): each.within for each in judgement.verdicts if each.limit.startswith("limits.")}


def test_limits_are_held_at_the_cautious_end_and_full_precision_has_not_changed():
    whole = forgetful(0.52, 0.53, 0.71)
    assert within(whole, "forget_auc_at_most = 0.6") == {
        "identity": True, "uniform(bits=8)": True, "uniform(bits=4)": False,
    }  # fmt: skip
    assert within(whole, "forget_auc_at_least = 0.48")["identity"] is False
    assert within(whole, "forget_auc_change_at_most = 0.05") == {
        "identity": True, "uniform(bits=8)": True, "uniform(bits=4)": False,
    }  # fmt: skip
    assert within(whole, "forget_quality_at_least = 0.05")["identity"] is True


def test_a_limit_on_what_was_to_be_forgotten_is_exceeded_where_nothing_was_named():
    judgement = judge(document(STRENGTHS), parse(b"[limits]\nforget_auc_at_most = 0.6"), NOW)
    [first, *_] = [each for each in judgement.verdicts if each.limit == "limits.forget_auc_at_most"]
    assert not first.within
    assert "[target] forget names them" in first.reason
