"""What is kept of a version, of a release set and of controls: their records, and the decisions of the best attacker.

Decisions are influences of few different values, one for each kind of entry, so each value is kept once.
"""

from collections.abc import Mapping

import numpy as np
from pydantic import TypeAdapter

from quantmis.analysis.recall import Entry
from quantmis.errors import require
from quantmis.measures import Record
from quantmis.results import Control, Measured, ReleaseResult, VersionResult
from quantmis.stats import Bound
from quantmis.stats.cluster import Linear
from quantmis.tables import LossTable

CONTROLS = TypeAdapter(list[Control])


class KeptBound(Record):
    """Hold a bound on security without the influences behind it; `right` is None where nothing was decided."""

    security: Measured
    attack: str
    right: float | None = None
    accuracy: Measured
    is_reversed: bool


class KeptVersion(Record):
    """Hold the record of a version and the bound that its attacks give."""

    record: VersionResult
    bound: KeptBound


def version_entry(record: VersionResult, bound: Bound) -> Entry:
    """Return the entry of a version."""
    value = None if bound.right is None else bound.right.value
    kept = KeptBound(
        security=bound.security,
        attack=bound.attack,
        right=value,
        accuracy=bound.accuracy,
        is_reversed=bound.is_reversed,
    )
    arrays = {} if bound.right is None else _packed(bound.right.influence)
    return Entry(KeptVersion(record=record, bound=kept).model_dump_json(exclude_none=True), arrays)


def version_of(entry: Entry, table: LossTable) -> tuple[VersionResult, Bound]:
    """Return the record and the bound of a version of `table`; an error where the entry is of another shape."""
    kept = KeptVersion.model_validate_json(entry.text)
    bound, value = kept.bound, kept.bound.right
    right = None if value is None else Linear(value, _unpacked(entry.arrays, table.audited.member.shape))
    return kept.record, Bound(bound.security, bound.attack, right, bound.accuracy, bound.is_reversed)


def release_entry(record: ReleaseResult) -> Entry:
    """Return the entry of a release set."""
    return Entry(record.model_dump_json(exclude_none=True))


def release_of(entry: Entry) -> ReleaseResult:
    """Return the record of a release set."""
    return ReleaseResult.model_validate_json(entry.text)


def controls_entry(records: list[Control]) -> Entry:
    """Return the entry of controls."""
    return Entry(CONTROLS.dump_json(records, exclude_none=True).decode())


def controls_of(entry: Entry) -> list[Control]:
    """Return the records of controls."""
    return CONTROLS.validate_json(entry.text)


def _packed(influence: np.ndarray) -> dict[str, np.ndarray]:
    values, places = np.unique(influence, return_inverse=True)
    return {"values": values, "places": places.reshape(influence.shape).astype(np.min_scalar_type(len(values)))}


def _unpacked(arrays: Mapping[str, np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    values, places = arrays["values"].astype(np.float64), arrays["places"]
    require(places.shape == shape, f"decisions of shape {places.shape}, not {shape}")
    return values[places]
