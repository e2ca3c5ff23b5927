"""Every code that an audit can print has a page in the docs, and every page a code."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / "docs" / "findings"


def codes() -> set[str]:
    """Return every code that the source of the package names."""
    sources = (ROOT / "src" / "quantmis").rglob("*.py")
    return {code for source in sources for code in re.findall(r"\bQM\d{3}\b", source.read_text())}


def test_every_finding_has_a_page_and_every_page_a_finding():
    assert {page.stem for page in PAGES.glob("QM*.md")} == codes()
    assert len(codes()) >= 13


def test_every_page_says_what_happened_what_it_means_and_what_to_do():
    for page in PAGES.glob("QM*.md"):
        text = page.read_text()
        assert text.startswith(f"# {page.stem}: ")
        assert "## What it means for the numbers" in text
        assert "## What to do" in text
        assert not re.search(r"\b(safe|secure|compliant)\b", text, re.IGNORECASE)
