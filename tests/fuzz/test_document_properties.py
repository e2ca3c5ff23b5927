"""Whatever users name their versions and whatever was measured, every document is written and says the numbers."""

import csv
import io
import json

import numpy as np
import pytest
from documents import around, document
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from quantmis.documents import Source, render
from quantmis.results import Results
from quantmis.stats import Unmeasured

FEW = settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
pytestmark = pytest.mark.filterwarnings(
    "ignore:Do not use the `random` module inside strategies", "ignore:Generating overly large repr"
)
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@st.composite
def audits(draw: st.DrawFn) -> Results:
    """Draw an audit of versions with any names, one of them perhaps not measured."""
    names = ["identity", *draw(st.lists(NAMES.filter(lambda name: name != "identity"), max_size=3, unique=True))]
    strengths = {name: draw(st.floats(0, 4)) for name in names}
    utilities = {name: draw(st.floats(0, 1)) for name in names}
    found = document(strengths, utilities)
    if draw(st.booleans()):
        why = Unmeasured(draw(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)))
        records = [found.versions[0].with_measures(utility=why, indicator=why), *found.versions[1:]]
        found = found.model_copy(update={"versions": records})
    return found


@pytest.mark.slow
@pytest.mark.parametrize("form", ["md", "json", "csv", "dpia", "html"])
@FEW
@given(audits())
def test_every_document_is_written(form: str, audit: Results):
    content = render(form, Source(audit, "0" * 64)).decode("utf-8")
    assert content
    if form == "json":
        json.loads(content, parse_constant=pytest.fail)
    if form == "csv":
        rows = list(csv.reader(io.StringIO(content)))
        assert len({len(row) for row in rows}) == 1
    if form == "html":
        assert "<script>alert" not in content


@pytest.mark.slow
@FEW
@given(st.sampled_from(["<script>alert(1)</script>", "=HYPERLINK(1)", "|a|b|", "`x`", "\u202egpj"]))
def test_a_name_is_text_and_nothing_else(name: str):
    audit = document({"identity": 1.0, name: 0.3}, {"identity": 0.9, name: 0.8})
    assert "<script>alert" not in render("html", Source(audit, "0" * 64)).decode()
    rows = csv.reader(io.StringIO(render("csv", Source(audit, "0" * 64)).decode()))
    assert not any(cell.startswith("=") for row in rows for cell in row)


def test_the_builder_gives_numbers_within_their_intervals():
    found = around(0.5)
    assert np.all([found.low <= found.value, found.value <= found.high])
