"""Whether tables are of the same models at the same samples, without which they say nothing together."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Shaped

from quantmis.errors import require
from quantmis.evidence import Evidence

FEWEST = 2


def aligned(
    tables: Mapping[str, Evidence], ids: Mapping[str, Shaped[np.ndarray, " samples"]] | None = None
) -> dict[str, Evidence]:
    """Return the tables of versions, by name, over the same samples in the same order: that of the first.

    `ids` names the samples of each table; without it they must stand in one order already. Raises `UserError` for one
    table alone, for samples that a table lacks or that are named twice, and for other models, memberships or labels.

    >>> member = np.array([[True, False]])
    >>> one, other = Evidence(np.array([[0.1, 0.9]]), member), Evidence(np.array([[0.8, 0.2]]), ~member)
    >>> both = aligned({"full": one, "4 bit": other}, {"full": np.array(["a", "b"]), "4 bit": np.array(["b", "a"])})
    >>> both["4 bit"].losses.tolist()
    [[0.2, 0.8]]
    """
    require(
        len(tables) >= FEWEST,
        f"a release set is two versions or more, got {len(tables)}",
        hint="what one version gives away by itself, an audit says of each",
    )
    names = list(tables)
    ordered = dict(tables) if ids is None else {name: _like(names[0], name, tables[name], ids) for name in names}
    first = ordered[names[0]]
    for name in names[1:]:
        _require_same(names[0], first, name, ordered[name])
    return ordered


def _like(first: str, name: str, table: Evidence, ids: Mapping[str, Shaped[np.ndarray, " samples"]]) -> Evidence:
    """Return the table with its samples in the order of those of the first."""
    for each in (first, name):
        require(each in ids, f"{each}: there are no ids of its samples", hint="give the ids of every table, or of none")
    order, own = ids[first].tolist(), ids[name].tolist()
    require(len(own) == table.samples, f"{name}: {len(own)} ids of {table.samples} samples")
    require(len(set(own)) == len(own), f"{name}: a sample is named twice")
    where = {each: column for column, each in enumerate(own)}
    missing = [each for each in order if each not in where]
    require(
        not missing and len(own) == len(order),
        f"{name} is not over the samples of {first}: it has {len(own)}, {first} has {len(order)}"
        + (f", and it lacks {missing[0]!r}" if missing else ""),
        hint="compute every version at the same samples",
    )
    return table.columns(np.array([where[each] for each in order]))


def _require_same(first: str, one: Evidence, name: str, other: Evidence) -> None:
    require(
        one.losses.shape == other.losses.shape,
        f"{name} is over {other.models} models and {other.samples} samples, {first} over {one.models} and "
        f"{one.samples}",
        hint="versions of the same models at the same samples; give ids where samples are in another order",
    )
    same_member = np.array_equal(one.member, other.member)
    require(
        same_member,
        f"{name} and {first} are not of the same models: others were members",
        hint="give ids where samples are in another order",
    )
    if one.label is not None and other.label is not None:
        require(np.array_equal(one.label, other.label), f"{name} and {first} are over other samples: labels differ")
