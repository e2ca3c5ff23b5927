"""All figures of a report, drawn once, with the styles that they share.

They are a function of the document without its environment, so that whoever has drawn them can keep them.
"""

from dataclasses import dataclass

from quantmis.report import figures
from quantmis.report.figures import Figure
from quantmis.report.reading import about_model, numbers
from quantmis.report.svg import Styles
from quantmis.results import Results

OWN_ATTACKS = 2
"""How many attacks on the very model are shown in full; files for programs have them all."""

Rocs = list[tuple[str, Figure]]


@dataclass(frozen=True)
class OwnFigures:
    """Hold the figures about the very model that was given, beside models trained like it."""

    front: Figure
    beside: Figure
    rocs: Rocs
    classes_drawn: Figure


@dataclass(frozen=True)
class Drawn:
    """Hold the figures of a page, those of the very model where there is one, and their stylesheet."""

    front: Figure
    indicator: Figure
    security: Figure
    classes_drawn: Figure
    rocs: Rocs
    own: OwnFigures | None
    sheet: str


def drawn(results: Results) -> Drawn:
    """Draw all figures of a report."""
    styles = Styles()
    front, indicator = figures.front(results, styles), figures.indicator(results, styles)
    security, classes = figures.security(results, styles), figures.classes(results, styles)
    rocs = figures.rocs(results, styles)
    own = _own(results, styles)
    return Drawn(front, indicator, security, classes, rocs, own, styles.sheet())


def _own(results: Results, styles: Styles) -> OwnFigures | None:
    view = about_model(results)
    if view is None:
        return None
    number = numbers(results)
    return OwnFigures(
        front=figures.front(view, styles, "own-front", number),
        beside=figures.beside(results, view, styles),
        rocs=figures.rocs(view, styles, "own-roc", OWN_ATTACKS, number),
        classes_drawn=figures.classes(view, styles, "own-classes"),
    )
