"""Every code that an audit can print has a page in the docs, and every page a code."""

import re
from pathlib import Path

from documents import document

from quantmis.report.findings import CODES
from quantmis.report.html import render
from quantmis.results import Finding

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "findings"


def codes() -> set[str]:
    """Return every code that the source of the package names."""
    sources = (ROOT / "src" / "quantmis").rglob("*.py")
    return {code for source in sources for code in re.findall(r"\bQM\d{3}\b", source.read_text())}


def test_every_finding_has_a_page_and_every_page_a_finding():
    assert {page.stem for page in PAGES.glob("QM*.md")} == codes()
    assert len(codes()) >= 13


def test_the_report_gives_each_code_the_title_of_its_page():
    assert {page.stem: page.read_text().splitlines()[0].partition(": ")[2] for page in PAGES.glob("QM*.md")} == CODES


def test_a_code_in_the_verdict_leads_to_its_finding_and_a_code_that_is_made_up_nowhere():
    found = [Finding(code=code, text="why") for code in ("QM002", "QM003", "QM003", "QM999", "<b>")]
    page = render(document().model_copy(update={"warnings": found}))
    assert '(<a href="#QM002">QM002</a>)' in page
    assert page.count('id="QM003"') == 1
    assert 'id="QM999"' not in page
    assert "<b>Too few shadow models.</b> why" in page


def test_every_page_says_what_happened_what_it_means_and_what_to_do():
    for page in PAGES.glob("QM*.md"):
        text = page.read_text()
        assert text.startswith(f"# {page.stem}: ")
        assert "## What it means for the numbers" in text
        assert "## What to do" in text
        assert not re.search(r"\b(safe|secure|compliant)\b", text, re.IGNORECASE)
