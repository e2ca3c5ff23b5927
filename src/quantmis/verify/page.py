"""Whether report.html is the page that results.json gives: it is rendered again and compared."""

import re
from pathlib import Path

from quantmis.documents import FORMS
from quantmis.files import content_of
from quantmis.report.html import render, renderer
from quantmis.results import Results

PAGE = "report.html"
HEAD = 4096
OTHERS = "report.html alone is rendered again"


def rendered(folder: Path, document: Results, content: bytes) -> tuple[list[str], list[str]]:
    """Return what of the page was edited, and what of the documents in the folder is not checked."""
    others = [form.file for form in FORMS.values() if form.file != PAGE and (folder / form.file).is_file()]
    unchecked = [f"{', '.join(others)}: {OTHERS}"] if others else []
    path = folder / PAGE
    if not path.is_file():
        return [], [f"{PAGE}: there is none in the folder", *unchecked]
    page = content_of(path)
    if page == render(document, content).encode():
        return [], unchecked
    if (by := _renderer(page)) != renderer():
        return [], [f"{PAGE}: it was rendered by {by}, this is {renderer()}; write it again to compare", *unchecked]
    return [f"{PAGE} is not the page that results.json gives; `quantmis report` writes it again"], unchecked


def _renderer(page: bytes) -> str:
    """Return by which versions a page says that it was rendered, in characters that can be printed."""
    match = re.search(r'<meta name="generator" content="([^"<>]{0,200})">', page[:HEAD].decode(errors="replace"))
    return "".join(filter(str.isprintable, match[1])) if match else "an unknown version"
