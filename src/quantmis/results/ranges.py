"""Whether the numbers of a document can be numbers of an audit: a probability lies between 0 and 1, and so on.

JSON of the right shape can still hold what no audit writes: an accuracy of 5, a ROC curve of two lengths, a digest that
is none. Whoever reads a document relies on its numbers, so they are held against what they can be before anything is
made of them: each measure against the span of its declaration. The seal says whether a document was edited; this says
whether it makes sense.
"""

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from quantmis.measures import Measure, measures_of
from quantmis.measures.measure import LARGEST
from quantmis.measures.tpr_at_fpr import RateAt, UnresolvedAt
from quantmis.results.records import Curve, MeasuredRecord, VersionResult
from quantmis.stats import Estimate, Unmeasured

ALMOST = 1e-9
WHOLE = 2**53
Span = tuple[float, float, bool]
"""The least value, the largest, and whether the ends of an interval lie between them too."""

SPANS: dict[str, Span] = {
    "tau": (-1.0, 1.0, False),
    "auc": (0.0, 1.0, True),
    "balanced_accuracy": (0.0, 1.0, True),
    "exposure": (0.0, 1.0, True),
    "greedy": (0.0, 1.0, True),
    "sampled": (0.0, 1.0, True),
}
"""Quantities outside of measures, and parts of measures, by the name of their field."""

UTILITIES: dict[str, dict[str, Span]] = {
    "accuracy": {"utility": (0.0, 1.0, True), "utility difference": (-1.0, 1.0, False)},
    "r2": {"utility": (-LARGEST, 1.0, False)},
    "log_likelihood": {"utility": (-LARGEST, 0.0, False)},
}
"""What utilities and their differences can be, by the metric of the utility and the unit of the measure."""

ANYTHING: Span = (-LARGEST, LARGEST, False)
COUNTS = {
    "samples",
    "held_out",
    "members_per_model",
    "members",
    "non_members",
    "models",
    "distinct",
    "sample",
    "shadows",
    "replicates",
    "reused",
    "features",
    "repeats",
    "near_duplicates",
    "forget",
    "tries",
}
DIGESTS = {"digest": 1, "table_digest": 0, "seal": 0, "before": 0, "retrained": 0}
"""Fields with a SHA-256 in hexadecimal, and whether there must be one."""

SHA_256 = re.compile(r"[0-9a-f]{64}")


def faults(document: BaseModel) -> Iterator[str]:
    """Yield a line for everything in a document that no audit writes: where it stands, and what is expected."""
    yield from _faults(document, "", "", ANYTHING)


def _faults(value: Any, path: str, name: str, span: Span) -> Iterator[str]:
    if isinstance(value, Estimate | UnresolvedAt):
        yield from (f"{path}: {fault}" for fault in _of_estimate(value, SPANS.get(name, span)))
    elif isinstance(value, Curve):
        yield from (f"{path}: {fault}" for fault in _of_curve(value))
    elif isinstance(value, BaseModel | dict | list | tuple):
        for step, field, child, within in _children(value, name, span):
            yield from _faults(child, f"{path}.{_printable(step)}".lstrip("."), field, within)
        if isinstance(value, VersionResult) and not 1 <= value.distinct <= value.models:
            yield f"{path}: {value.distinct} different models of {value.models} are not possible"
    elif (fault := _of_plain(value, name)) is not None:
        yield f"{path}: {fault}"


def _printable(step: object) -> str:
    """Return a step of a path as it may be printed: names come from whoever wrote the document."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(step)[:60])


def _children(value: Any, name: str, span: Span) -> Iterator[tuple[object, str, Any, Span]]:
    """Yield the step to each child, the field that says what the child is, the child, and what spans its numbers."""
    if isinstance(value, BaseModel):
        fields = ((field, getattr(value, field)) for field in type(value).model_fields)
        yield from ((field, field, child, span) for field, child in fields if field != "measures")
        yield from _of_measures(value) if isinstance(value, MeasuredRecord) else ()
    elif isinstance(value, dict):
        yield from ((key, name, child, span) for key, child in value.items())
    else:
        yield from ((getattr(child, "name", index), name, child, span) for index, child in enumerate(value))


def _of_measures(record: MeasuredRecord) -> Iterator[tuple[object, str, Any, Span]]:
    for name, value in record.measures.items():
        measure = measures_of(record.subject)[name]
        yield f"measures.{name}", f"measure {name}", _as_estimate(value), _span(measure, record)


def _as_estimate(value: Any) -> Any:
    """Return a number that was counted as an estimate of itself, so that it is held against the same span."""
    plain = isinstance(value, int | float) and math.isfinite(value)
    return Estimate(float(value), float(value), float(value)) if plain else value


def _span(measure: Measure[Any], record: MeasuredRecord) -> Span:
    metric = record.utility_metric if isinstance(record, VersionResult) else ""
    spans = UTILITIES.get("accuracy" if metric.endswith("accuracy") else metric, {})
    return spans.get(measure.unit, (*measure.span, measure.bounded))


def _of_estimate(quantity: Estimate | Unmeasured, span: Span) -> Iterator[str]:
    if isinstance(quantity, RateAt | UnresolvedAt) and not 0 < quantity.fpr < 1:
        yield f"a false positive rate lies between 0 and 1, this is {quantity.fpr:g}"
    if not isinstance(quantity, Estimate):
        return
    low, high, bounded = span
    slack = 0.0 if bounded else min(high - low, LARGEST)
    if not low - ALMOST <= quantity.value <= high + ALMOST:
        yield f"a value between {low:g} and {high:g} is expected, this is {quantity.value:g}"
    elif quantity.low < low - slack - ALMOST or quantity.high > high + slack + ALMOST:
        yield f"an interval between {low:g} and {high:g} is expected, this is {quantity.low:g} to {quantity.high:g}"


def _of_curve(curve: Curve) -> Iterator[str]:
    if len(curve.fpr) != len(curve.tpr) or len(curve.fpr) < 2:
        yield f"a ROC curve has two lists of one length, these have {len(curve.fpr)} and {len(curve.tpr)}"
    for rates in (curve.fpr, curve.tpr):
        if any(not 0 <= rate <= 1 for rate in rates) or rates != sorted(rates):
            yield "the rates of a ROC curve rise from 0 to 1"


def _of_plain(value: object, name: str) -> str | None:
    if isinstance(value, str):
        return _of_text(value, name)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if name in COUNTS and not 0 <= value <= WHOLE:
        return f"a number of things is expected, this is {value:.6g}"
    if name == "level" and not 0 < value < 1:
        return f"a probability between 0 and 1 is expected, this is {value:g}"
    if name == "seconds" and not 0 <= value < math.inf:
        return f"a duration is expected, this is {value:g}"
    return None


def _of_text(value: str, name: str) -> str | None:
    if name in DIGESTS and not (SHA_256.fullmatch(value) or (not value and not DIGESTS[name])):
        return f"a SHA-256 in hexadecimal is expected, this is {value[:20]!r}"
    return "a date and time in ISO 8601 is expected" if name == "started" and not _is_moment(value) else None


def _is_moment(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).year >= 2000
    except ValueError:
        return False
