"""The page that browsers show, as one of the forms; the report room makes it."""

from quantmis import report
from quantmis.documents.source import Source


def render(source: Source) -> bytes:
    """Return the report of an audit as one HTML file."""
    return report.render(source.results, source.document).encode()
