"""Samples that belong together: those of one patient, one document, one scaffold.

They are drawn into a set together and resemble each other, so that they are one observation rather than several:
they stand in one half, in one fold, and in one cluster of every interval.
"""

import numpy as np
from jaxtyping import Bool, Float, Int, Shaped

from quantmis.errors import require

FEWEST_GROUPS = 2
LEAVE_OUT = "without groups every sample is taken for a draw of its own: leave groups out"


def group_numbers(groups: Shaped[np.ndarray, " samples"], samples: int) -> Int[np.ndarray, " samples"]:
    """Return the number of each sample's group, from 0; `UserError` unless there is one name for each sample.

    >>> group_numbers(np.array(["b", "a", "b"]), 3).tolist()
    [1, 0, 1]
    """
    require(
        groups.shape == (samples,),
        f"groups: expected the group of each of {samples} samples, got shape {groups.shape}",
        hint="one name or number per sample, equal for samples that belong together",
    )
    return np.unique(groups, return_inverse=True)[1]


def numbers_of(groups: Shaped[np.ndarray, " samples"] | None, samples: int) -> Int[np.ndarray, " samples"] | None:
    """Return what `group_numbers` does, None where there are no groups."""
    return None if groups is None else group_numbers(groups, samples)


def units_of(numbers: Int[np.ndarray, " samples"] | None, samples: int) -> int:
    """Return how many draws samples are: as many as there are groups, or samples where there are none."""
    return samples if numbers is None else int(numbers.max()) + 1


def require_groups(groups: Shaped[np.ndarray, " samples"], member: Bool[np.ndarray, "models samples"]) -> None:
    """Raise `UserError` for groups that say nothing, and for one that is partly trained on.

    Refused are a single group, as many groups as samples, and groups of which a model was trained on some samples and
    not on others.
    """
    numbers = group_numbers(groups, member.shape[1])
    count = int(numbers.max()) + 1
    require(count >= FEWEST_GROUPS, "groups: all samples are of one group, so nothing can be told apart", LEAVE_OUT)
    require(count < len(numbers), "groups: every sample is a group of its own, which says nothing", LEAVE_OUT)
    _, first = np.unique(numbers, return_index=True)
    mixed = np.flatnonzero((member != member[:, first[numbers]]).any(0))
    require(
        len(mixed) == 0,
        f"groups: {groups[mixed[0]] if len(mixed) else None!r} has samples both among members and among non-members",
        hint="whoever is in a group is a member or is not: move the group to one side, or leave it out",
    )


def gather_groups(
    cells: Float[np.ndarray, "models samples"], groups: Int[np.ndarray, " samples"] | None
) -> Float[np.ndarray, "models groups"]:
    """Return the sums of `cells` over the samples of each group; `cells` themselves where there are no groups."""
    if groups is None:
        return cells
    count = int(groups.max()) + 1
    return np.stack([np.bincount(groups, weights=row, minlength=count) for row in cells])
