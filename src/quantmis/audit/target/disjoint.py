"""The samples of a target in sets that have nothing in common: trained on, to be forgotten, never seen."""

from dataclasses import replace

import numpy as np
from jaxtyping import Int

from quantmis.audit.target.target import Target, require_enough
from quantmis.data import Samples
from quantmis.data.overlap import Overlap, overlap
from quantmis.errors import UserError, require

ROWS = "rows count from 0, as in samples.x[row]; a mask of booleans over all samples is taken too"


def disjoint(target: Target, samples: Samples) -> Target:
    """Return the target, without the samples that both sets hold where they are to be dropped.

    Raises `UserError` for rows that do not exist, for masks of another length than the samples and, by default, for
    samples in both sets, by their bytes or but for rounding. Those that look alike need not be the same thing: they are
    counted in `near_duplicates`, for the report.
    """
    for length in target.mask_lengths:
        require(
            length == len(samples),
            f"members, non_members: expected a mask of {len(samples)} samples, got one of {length}",
            hint="a mask says true or false of every sample of the audit, in their order; or give numbers of rows",
        )
    last = max(rows.max(initial=0) for rows in (target.members, target.non_members, target.forgotten))
    require(last < len(samples), f"there is no row {last}: the samples are rows 0 to {len(samples) - 1}", hint=ROWS)
    target = _apart_from_forgotten(target, samples)
    duplicates = overlap(samples.x[target.members], samples.x[target.non_members])
    if target.overlap == "refuse":
        _refuse(duplicates, target)
        return replace(target, near_duplicates=len(duplicates.alike))
    pairs = np.concatenate(duplicates)
    members, others = np.delete(target.members, pairs[:, 0]), np.delete(target.non_members, np.unique(pairs[:, 1]))
    require_enough(members, others)
    return replace(target, members=members, non_members=others)


def _apart_from_forgotten(target: Target, samples: Samples) -> Target:
    """Return the target without samples of which copies were to be forgotten; `UserError` where none are dropped."""
    if target.forget is None:
        return target
    sides = {"members": target.members, "non_members": target.non_members}
    copies = {name: _copies(samples.x[target.forget], samples.x[rows]) for name, rows in sides.items()}
    for name, rows in sides.items():
        first = f", the first is row {rows[copies[name][:1]].tolist()}" if len(copies[name]) else ""
        require(
            target.overlap == "drop" or len(copies[name]) == 0,
            f"{len(copies[name])} {name} are copies of samples that were to be forgotten{first}",
            hint='a model that still has a copy has nothing to forget; remove them, or pass overlap="drop" '
            '([target] overlap = "drop")',
        )
    rest = {name: np.delete(rows, copies[name]) for name, rows in sides.items()}
    require_enough(rest["members"], rest["non_members"])
    return replace(target, **rest)


def _copies(forgotten: np.ndarray, others: np.ndarray) -> Int[np.ndarray, " rows"]:
    """Return the numbers of `others` that are one of the forgotten, by their bytes or but for rounding."""
    duplicates = overlap(forgotten, others)
    return np.unique(np.concatenate([duplicates.equal, duplicates.near])[:, 1])


def _refuse(duplicates: Overlap, target: Target) -> None:
    for pairs, how in ((duplicates.equal, "the same bytes"), (duplicates.near, "the same numbers but for rounding")):
        if len(pairs):
            first = f"row {target.members[pairs[0, 0]]} and row {target.non_members[pairs[0, 1]]}"
            raise UserError(
                f"{len(pairs)} members are among the non-members too ({how}), the first as {first}",
                hint='remove them, or pass overlap="drop" ([target] overlap = "drop") to leave both out',
            )
