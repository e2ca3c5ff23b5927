"""What comes back from where groups are computed: held against what was asked for, before anything is made of it."""

import hashlib
import json
from dataclasses import asdict

import numpy as np

from quantmis.audit.execution.work import Group, Work
from quantmis.errors import UserError, require
from quantmis.tables.loss_table import EXTRACTED
from quantmis.tensor_files import entry

EARLIER, UTILITY = "earlier", "per_sample_utility"


def digest_of(group: Group) -> str:
    """Return the SHA-256 of all that a group holds, each part with its length."""
    words = json.dumps([[[asdict(each) for each in column] for column in group.traits], dict(group.outside)])
    digest = hashlib.sha256(len(words).to_bytes(8, "little") + words.encode())
    for name, array in sorted(group.arrays.items()):
        digest.update(entry(name, array.dtype.str, array.shape, array.nbytes))
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def require_whole(group: Group, digest: str, rows: range) -> None:
    """Raise `UserError` unless a group is what was sent."""
    require(digest_of(group) == digest, f"models {rows.start} to {rows.stop - 1} came back changed on their way")


def require_fitting(work: Work, rows: range, group: Group) -> None:
    """Raise `UserError` unless a group has a row of finite numbers for each of its models, quantizers and samples."""
    shape, quantizers = (len(rows), len(work.samples)), range(len(work.quantizers))
    missing = [number for number in quantizers if f"{number}.losses" not in group.arrays]
    _require(not missing, rows, f"no losses of quantizer {missing[:1]}")
    for name, array in group.arrays.items():
        number, _, part = name.partition(".")
        if number.isdigit() and not part.startswith(EXTRACTED):
            _require(int(number) in quantizers, rows, f"{name}, and there are {len(quantizers)} quantizers")
            _require(part == EARLIER or array.shape == shape, rows, f"{name} of shape {array.shape}, not {shape}")
            _require(array.dtype.kind == "f", rows, f"{name} of {array.dtype}")
            _require(part == UTILITY or bool(np.isfinite(array).all()), rows, f"{name} that are not finite")
    traits = [len(column) for column in group.traits]
    _require(traits == [len(rows)] * len(quantizers), rows, f"traits of {traits} models")


def _require(condition: bool, rows: range, what: str) -> None:
    if not condition:
        hint = "what computed them is no quantmis of this version, or is not to be trusted"
        raise UserError(f"models {rows.start} to {rows.stop - 1} came back with {what}", hint=hint)
