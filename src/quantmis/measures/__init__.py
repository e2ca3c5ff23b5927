"""Every number that an audit reports, one file per measure. No torch.

To add a measure, add a file that assigns a `Measure` to a name, and a test: it is found here, and everything that
reads, checks, prints, explains or limits measures is derived from its declaration. Packages of others name theirs in
the entry-point group `quantmis.measures`.
"""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from pkgutil import iter_modules
from typing import Any

from quantmis.errors import UserError
from quantmis.measures.measure import NOT_IN_DOCUMENT, SUBJECTS, Measure, Number, Place, Subject
from quantmis.measures.record import Record
from quantmis.measures.scored import AttackOutcome, Precision, ScoredRelease, ScoredVersion

__all__ = [
    "NOT_IN_DOCUMENT",
    "SUBJECTS",
    "AttackOutcome",
    "Measure",
    "Number",
    "Place",
    "Precision",
    "Record",
    "ScoredRelease",
    "ScoredVersion",
    "Subject",
    "measures_of",
    "measures_shown",
]

GROUP = "quantmis.measures"


def measures_of(subject: Subject) -> dict[str, Measure[Any]]:
    """Return the measures of a subject by name, in their order.

    >>> list(measures_of("attack"))
    ['auc', 'advantage', 'balanced_accuracy', 'tpr_at_fpr', 'epsilon_lower_bound']
    """
    return {name: measure for name, measure in _all().items() if measure.subject == subject}


def measures_shown(place: Place) -> list[Measure[Any]]:
    """Return the measures that have a column in a table of the report, in their order."""
    return [measure for measure in _all().values() if place in measure.shown]


@cache
def _all() -> dict[str, Measure[Any]]:
    measures = sorted([*_own(), *_of_others()], key=lambda measure: (measure.order, measure.name))
    names = [measure.name for measure in measures]
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise UserError(f"two measures are called {repeated[0]}", hint="a measure has a name of its own")
    return dict(zip(names, measures, strict=True))


def _own() -> Iterator[Measure[Any]]:
    for module in iter_modules(__path__):
        values = vars(import_module(f"{__name__}.{module.name}")).values()
        own = {id(value): value for value in values if isinstance(value, Measure)}
        yield from (measure for measure in own.values() if measure.compute.__module__.endswith(f".{module.name}"))


def _of_others() -> Iterator[Measure[Any]]:
    for point in entry_points(group=GROUP):
        measure: Any = point.load()
        if not isinstance(measure, Measure):
            raise UserError(f"the measure {point.name!r} is no Measure but {measure!r}")
        yield measure
