"""What comes back from where groups are computed: held against what was asked for, before anything is made of it."""

import hashlib
import json
from dataclasses import asdict
from typing import Any

import numpy as np

from quantmis.audit.execution.work import Group, Job, Work
from quantmis.errors import UserError, require
from quantmis.models.weights import tensors_digest
from quantmis.tables.loss_table import EXTRACTED
from quantmis.tensor_files import entry

EARLIER, UTILITY = "earlier", "per_sample_utility"


def digest_of(group: Group) -> str:
    """Return the SHA-256 of all that a group holds, each part with its length."""
    digest = hashlib.sha256()
    for number, rows in sorted(group.versions.items()):
        _put(digest, [number, [asdict(each) for each in rows.traits], dict(rows.outside)])
        for name, array in sorted(rows.arrays.items()):
            digest.update(entry(name, array.dtype.str, array.shape, array.nbytes))
            digest.update(np.ascontiguousarray(array).data)
    if group.weights is not None:
        _put(digest, [tensors_digest(group.weights.tensors), dict(group.weights.outside)])
    return digest.hexdigest()


def _put(digest: Any, words: list[Any]) -> None:
    text = json.dumps(words).encode()
    digest.update(len(text).to_bytes(8, "little") + text)


def require_whole(group: Group, digest: str, rows: range) -> None:
    """Raise `UserError` unless a group is what was sent."""
    require(digest_of(group) == digest, f"models {rows.start} to {rows.stop - 1} came back changed on their way")


def require_fitting(work: Work, job: Job, group: Group) -> None:
    """Raise `UserError` unless a group has a row of finite numbers for each of its models, quantizers and samples."""
    rows, shape = job.rows, (len(job.rows), len(work.samples))
    numbers = sorted(group.versions)
    _require(numbers == sorted(job.quantizers), rows, f"quantizers {numbers}, not {sorted(job.quantizers)}")
    for number, version in group.versions.items():
        _require("losses" in version.arrays, rows, f"no losses of quantizer {number}")
        _require(len(version.traits) == len(rows), rows, f"traits of {len(version.traits)} models")
        for name, array in version.arrays.items():
            if not name.startswith(EXTRACTED):
                _require(name == EARLIER or array.shape == shape, rows, f"{name} of shape {array.shape}, not {shape}")
                _require(array.dtype.kind == "f", rows, f"{name} of {array.dtype}")
                _require(name == UTILITY or bool(np.isfinite(array).all()), rows, f"{name} that are not finite")


def _require(condition: bool, rows: range, what: str) -> None:
    if not condition:
        hint = "what computed them is no quantmis of this version, or is not to be trusted"
        raise UserError(f"models {rows.start} to {rows.stop - 1} came back with {what}", hint=hint)
