"""The page that browsers show, as one of the forms; the report room makes it."""

from quantmis.documents.source import Source
from quantmis.report import html


def render(source: Source) -> bytes:
    """Return the report of an audit as one HTML file."""
    return html.render(source.results, source.document).encode()
