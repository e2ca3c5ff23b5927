"""Whether the numbers of a document can be numbers of an audit: a probability lies between 0 and 1, and so on.

JSON of the right shape can still hold what no audit writes: an accuracy of 5, a ROC curve of two lengths, a digest that
is none. Whoever reads a document relies on its numbers, so they are held against what they can be before anything is
made of them. The seal says whether a document was edited; this says whether it makes sense.
"""

import math
import re
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from pydantic import BaseModel

from quantmis.results.measures import Curve, VersionResult, RateAt, UnresolvedAt, Utility
from quantmis.stats import Estimate

ALMOST = 1e-9
LARGEST = 1e100
WHOLE = 2**53
SHARES = {"auc", "balanced_accuracy", "security", "security_upper_bound", "exposure", "tpr", "greedy", "sampled"}
"""Quantities that lie between 0 and 1 with both ends of their interval."""

SPANS = {
    "advantage": (-1.0, 1.0),
    "tau": (-1.0, 1.0),
    "change": (-1.0, 1.0),
    "epsilon_low": (0.0, 1e6),
    "indicator": (0.0, LARGEST),
    "exposure_bits": (0.0, 64.0),
}
"""Quantities that lie between two numbers; a symmetric interval may reach beyond them."""

COUNTS = {
    "samples",
    "held_out",
    "members_per_model",
    "members",
    "non_members",
    "weights",
    "models",
    "distinct",
    "sample",
    "shadows",
    "replicates",
    "reused",
    "features",
    "repeats",
}
DIGESTS = {"digest": 1, "table_digest": 0, "seal": 0}
"""Fields with a SHA-256 in hexadecimal, and whether there must be one."""

SHA_256 = re.compile(r"[0-9a-f]{64}")


def faults(document: BaseModel) -> Iterator[str]:
    """Yield a line for everything in a document that no audit writes: where it stands, and what is expected."""
    yield from _faults(document, "", "")


def _faults(value: Any, path: str, name: str) -> Iterator[str]:
    if isinstance(value, Estimate | UnresolvedAt):
        yield from (f"{path}: {fault}" for fault in _of_estimate(value, name))
    elif isinstance(value, Curve):
        yield from (f"{path}: {fault}" for fault in _of_curve(value))
    elif isinstance(value, BaseModel | dict | list | tuple):
        for step, field, child in _children(value, name):
            yield from _faults(child, f"{path}.{_shown(step)}".lstrip("."), field)
        if isinstance(value, VersionResult):
            yield from (f"{path}: {fault}" for fault in _of_version(value))
    elif (fault := _of_plain(value, name)) is not None:
        yield f"{path}: {fault}"


def _shown(step: object) -> str:
    """Return a step of a path as it may be printed: names come from whoever wrote the document."""
    return "".join(letter if letter.isprintable() else "?" for letter in str(step)[:60])


def _children(value: Any, name: str) -> Iterator[tuple[object, str, Any]]:
    """Yield the step to each child, the field that says what the child is, and the child."""
    if isinstance(value, BaseModel):
        yield from ((field, field, getattr(value, field)) for field in type(value).model_fields)
    elif isinstance(value, dict):
        yield from ((key, name, child) for key, child in value.items())
    else:
        yield from ((getattr(child, "name", index), name, child) for index, child in enumerate(value))


def _of_estimate(found: Estimate | UnresolvedAt, name: str) -> Iterator[str]:
    if isinstance(found, RateAt | UnresolvedAt) and not 0 < found.fpr < 1:
        yield f"a false positive rate lies between 0 and 1, this is {found.fpr:g}"
    if not isinstance(found, Estimate):
        return
    low, high = _span(found, name)
    slack = 0.0 if name in SHARES else min(high - low, LARGEST)
    if not low - ALMOST <= found.value <= high + ALMOST:
        yield f"a value between {low:g} and {high:g} is expected, this is {found.value:g}"
    elif found.low < low - slack - ALMOST or found.high > high + slack + ALMOST:
        yield f"an interval between {low:g} and {high:g} is expected, this is {found.low:g} to {found.high:g}"


def _span(found: Estimate, name: str) -> tuple[float, float]:
    if name in SHARES or (isinstance(found, Utility) and found.metric.endswith("accuracy")):
        return 0.0, 1.0
    return SPANS.get(name, (-LARGEST, LARGEST))


def _of_curve(curve: Curve) -> Iterator[str]:
    if len(curve.fpr) != len(curve.tpr) or len(curve.fpr) < 2:
        yield f"a ROC curve has two lists of one length, these have {len(curve.fpr)} and {len(curve.tpr)}"
    for side in (curve.fpr, curve.tpr):
        if any(not 0 <= rate <= 1 for rate in side) or side != sorted(side):
            yield "the rates of a ROC curve rise from 0 to 1"


def _of_version(record: VersionResult) -> Iterator[str]:
    if not record.models >= 1 or record.distinct > record.models:
        yield f"{record.distinct} different models of {record.models} are not possible"
    if isinstance(record.sparsity, float) and not 0 <= record.sparsity <= 1:
        yield f"a share of zero weights lies between 0 and 1, this is {record.sparsity:g}"
    if isinstance(record.bits_per_weight, float) and not 0 <= record.bits_per_weight <= 1e6:
        yield f"{record.bits_per_weight:g} bits for a weight are not possible"


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
