"""The answers to the expectations of regulators and standards as a PDF, from the same page that browsers show."""

from quantmis.documents.conformity import page
from quantmis.documents.pdf import layout
from quantmis.documents.source import Source


def render(source: Source) -> bytes:
    """Return the page as a PDF."""
    return layout(page(source))
