"""Claims about what the report and the documents say of versions that are released together."""

import csv
import io
import json
from collections.abc import Sequence

import pytest
from documents import SPARSE, document, given, released, with_releases

from quantmis import results as documents_of
from quantmis.documents import Source, dpia, markdown, summary
from quantmis.documents import csv as table_file
from quantmis.report.html import render
from quantmis.report.released import adds_most, gain_sentence
from quantmis.report.verdict import verdict
from quantmis.results import Results, TargetResult
from quantmis.tracking import metrics


def source(results: Results) -> Source:
    return Source(results, "ab" * 32)


def audited(**numbers: float) -> Results:
    return with_releases(document(), released(**numbers))


def test_versions_that_give_away_more_together_are_told_with_the_gain():
    said = gain_sentence(released(gain=0.02, reach=0.005), "both")
    assert said is not None
    assert said.startswith(
        "Whoever has both is right 66 % of the time (65 to 67 %), with the strongest of them alone 64 %"
    )
    assert said.endswith("together they give away more than any of them does, by 2.0 (1.5 to 2.5) percentage points.")


@pytest.mark.parametrize(
    ("gain", "words"), [(0.001, "nothing shows that they give away more together"), (-0.02, "weaker here")]
)
def test_a_gain_that_the_interval_leaves_open_is_not_claimed(gain: float, words: str):
    assert words in str(gain_sentence(released(gain=gain), "both"))


def test_the_version_that_adds_most_is_named_and_none_where_chance_allows_all():
    assert "Leaving out full precision would help most: it adds 3 (2 to 4)" in str(adds_most(released(adds=0.03)))
    assert "No single version can be shown to add" in str(adds_most(released(adds=0.0)))


def test_the_verdict_says_so_only_where_more_is_given_away_together():
    spoken = [[each.text for each in verdict(audited(gain=gain))] for gain in (0.02, 0.0)]
    assert sum("give away more than any of them does" in text for text in spoken[0]) == 1
    assert not any("Whoever has" in text for text in spoken[1])


@pytest.mark.slow
def test_the_page_has_a_section_with_what_each_version_adds():
    page = render(with_releases(document(), released(), released(("identity", "sign", SPARSE))))
    for words in (
        "Released together",
        "full precision, sign and ternary(sparsity=0.9)",
        "adds to what the others give away",
    ):
        assert words in page
    assert "Learns in the same way how much to trust one attack on each version" in page
    assert "No versions were attacked together" in render(document())


@pytest.mark.slow
def test_both_subjects_have_their_release_sets():
    whole = given(audited())
    assert isinstance(whole.target, TargetResult)
    own = whole.target.model_copy(update={"releases": [released(("sign", SPARSE))]})
    page = render(whole.model_copy(update={"target": own}))
    assert "Versions of this model that are released together" in page
    assert "Versions of this training algorithm that are released together" in page


def test_a_document_with_release_sets_is_read_as_it_was_written():
    whole = audited()
    assert documents_of.parse(documents_of.to_bytes(whole)).releases == whole.releases


@pytest.mark.parametrize("versions", [("identity",), ("identity", "identity"), ("identity", "gguf")])
def test_a_document_whose_release_set_is_none_is_refused(versions: Sequence[str]):
    broken = documents_of.to_bytes(with_releases(document(), released(versions)))
    with pytest.raises(Exception, match="a release set is not of two versions or more that were measured"):
        documents_of.parse(broken)


def test_every_document_has_a_row_of_each_release_set():
    whole = source(audited())
    rows = list(csv.DictReader(io.StringIO(table_file.render(whole).decode())))
    assert rows[-1]["about"] == "this training algorithm, released together"
    assert rows[-1]["version"] == "identity + sign"
    assert float(rows[-1]["release_gain"]) == pytest.approx(0.02)
    assert float(rows[-1]["release_without.identity.adds"]) == pytest.approx(0.03)
    assert rows[-1]["joint_lira.auc_reason"] == "too few models"
    assert len(table_file.table(whole.results)) == len(rows) - 1
    [told_of] = json.loads(summary.render(whole))["released_together"]
    assert told_of["numbers"]["release_attack_accuracy"]["value"] == pytest.approx(0.66)
    assert "| full precision and sign | 66 % (65 to 67 %) | 64 % (63 to 65 %) | 2.0 (1.5 to 2.5) |" in (
        markdown.render(whole).decode()
    )
    annex = dpia.render(whole).decode()
    assert "What do several versions of the model give away that are released together?" in annex
    assert "full precision and sign" in annex
    assert "Not measured: no versions were attacked together." in dpia.render(source(document())).decode()
    assert metrics(whole.results)["training_algorithm/released_together_1/release_gain"] == pytest.approx(0.02)


def test_the_bill_of_materials_holds_the_numbers_of_release_sets():
    from quantmis.documents import cyclonedx

    card = cyclonedx.model_card(audited())
    found = [each for each in card["quantitativeAnalysis"]["performanceMetrics"] if each["type"] == "release_gain"]
    assert [each["slice"] for each in found] == ["this training algorithm; released together identity + sign"]
