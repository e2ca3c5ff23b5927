"""Who is trained on what: models in complementary pairs.

Model 2i trains on a random half of the samples, model 2i + 1 on the other half. So every sample is a member of
exactly half of the models, every sample is a test of every attack from both sides, and each pair is a paired
replicate: two models between which every sample has changed sides.

Samples of one group (a patient, a document, copies of one row) are on one side together: otherwise what is learnt of
one tells of the others. All models are trained on equally many samples all the same, so groups are held out and divided
such that two halves are possible.
"""

import numpy as np
from jaxtyping import Bool, Int, Shaped

from quantmis.data.subsets import can_be_halved, random_half
from quantmis.errors import UserError, require

FEWEST_MODELS = 2
ATTEMPTS = 200
SHARE = "the share of the samples that no model is trained on, such as 0.33"
REMEDY = "leave out the largest groups; copies of one sample are a group too, and one copy is enough"

Groups = Shaped[np.ndarray, " samples"]


def complementary_halves(
    models: int, samples: int, generator: np.random.Generator, groups: Groups | None = None
) -> Bool[np.ndarray, "models samples"]:
    """Return the membership of `samples` in `models`; true where the model trains on the sample.

    `groups` [samples]: samples of one group are in the same half. Raises `UserError` unless both numbers are even and
    there are at least two of each, and where no choice of groups is half of the samples.

    >>> member = complementary_halves(4, 6, np.random.default_rng(0))
    >>> member.sum(0).tolist(), member.sum(1).tolist(), bool((member[0] ^ member[1]).all())
    ([2, 2, 2, 2, 2, 2], [3, 3, 3, 3], True)
    >>> complementary_halves(2, 6, np.random.default_rng(0), np.array([0, 0, 0, 1, 1, 2]))[0].tolist()
    [False, False, False, True, True, True]
    """
    _require_even("models", models)
    _require_even("samples", samples)
    if groups is None or len(np.unique(groups)) == samples:
        halves = generator.permuted(np.tile(np.arange(samples) < samples // 2, (models // 2, 1)), axis=1)
    else:
        halves = _halves_of_groups(models // 2, groups, generator)
    return np.stack([halves, ~halves], axis=1).reshape(models, samples)


def by_coins(
    models: int, samples: int, generator: np.random.Generator, groups: Groups | None = None
) -> Bool[np.ndarray, "models samples"]:
    """Return the membership of `samples` in `models`: a coin decides of each sample, or of each of `groups`.

    Models come in complementary pairs. Whether a sample is in then says nothing of the others, so that two trainings
    differ by one record that is added or removed, which is what differential privacy speaks of.

    >>> member = by_coins(4, 100, np.random.default_rng(0))
    >>> bool((member[0] ^ member[1]).all()), int(member[0].sum())
    (True, 44)
    """
    _require_even("models", models)
    code = np.arange(samples) if groups is None else np.unique(groups, return_inverse=True)[1]
    coins = generator.random((models // 2, int(code.max()) + 1)) < 1 / 2
    halves = coins[:, code]
    return np.stack([halves, ~halves], axis=1).reshape(models, samples)


def members_each(member: Bool[np.ndarray, "models samples"], repeats: Int[np.ndarray, " samples"] | None = None) -> int:
    """Return how many samples each model is trained on, in expectation: half of those that any is trained on.

    `repeats` [samples]: how often each stands in a training set that it is in.

    >>> members_each(complementary_halves(4, 6, np.random.default_rng(0)))
    3
    """
    is_in = np.any(member, axis=0)
    return int(is_in.sum() if repeats is None else repeats[is_in].sum()) // 2


def _halves_of_groups(pairs: int, groups: Groups, generator: np.random.Generator) -> Bool[np.ndarray, "pairs samples"]:
    _, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    require(
        can_be_halved(sizes),
        f"groups: no choice of the {len(sizes)} groups is half of the {len(groups)} samples, the largest has "
        f"{sizes.max()}",
        hint=REMEDY,
    )
    return np.stack([random_half(sizes, generator)[code] for _ in range(pairs)])


def hold_out(
    samples: int, fraction: float, generator: np.random.Generator, groups: Groups | None = None
) -> tuple[Int[np.ndarray, " kept"], Int[np.ndarray, " held"]]:
    """Divide `samples` at random into an even number that models train on and the rest, which none ever sees.

    `fraction` of the samples, one more where that makes the others even, are held out; of `groups` [samples], as many
    whole ones as come near it and leave what two halves can be made of. Both are returned in order.

    >>> [part.tolist() for part in hold_out(7, 0.4, np.random.default_rng(0))]
    [[2, 3, 4, 6], [0, 1, 5]]
    """
    require(0 < fraction < 1, f"held_out: expected a fraction between 0 and 1, got {fraction}", hint=SHARE)
    count = round(samples * (1 - fraction)) // 2 * 2
    require(
        count >= 2 and count < samples, f"held_out: {fraction} of {samples} samples leaves an empty side", hint=SHARE
    )
    if groups is None or len(np.unique(groups)) == samples:
        order = generator.permutation(samples)
        return np.sort(order[:count]), np.sort(order[count:])
    is_kept = _kept_groups(count, groups, generator)
    return np.flatnonzero(is_kept), np.flatnonzero(~is_kept)


def halvable(groups: Groups, generator: np.random.Generator) -> Int[np.ndarray, " kept"]:
    """Return the rows of as many whole groups as two halves can be made of; `UserError` where there are no such."""
    return np.flatnonzero(_kept_groups(len(groups), groups, generator))


def _kept_groups(count: int, groups: Groups, generator: np.random.Generator) -> Bool[np.ndarray, " samples"]:
    """Return which samples are of the groups, drawn at random, that are `count` samples or nearly so."""
    _, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    for attempt in range(ATTEMPTS):
        order = generator.permutation(len(sizes))
        within = np.cumsum(sizes[order]) <= count
        selection = order[within][: max(0, int(within.sum()) - attempt % 4)]  # with one group less there may be a way
        if len(selection) and can_be_halved(sizes[selection]):
            return np.isin(code, selection)
    raise UserError(
        f"groups: {len(groups)} samples in {len(sizes)} groups, the largest of {sizes.max()}, cannot be divided into "
        "two halves and what is held out",
        hint=REMEDY,
    )


def half_of(
    is_free: Bool[np.ndarray, " samples"], generator: np.random.Generator, groups: Groups | None = None
) -> Bool[np.ndarray, " samples"]:
    """Return half of the samples that are free, drawn at random; of `groups` [samples], half of those with free ones.

    >>> int(half_of(np.arange(10) < 6, np.random.default_rng(0)).sum())
    3
    """
    names = np.arange(len(is_free)) if groups is None else np.unique(groups, return_inverse=True)[1]
    order = generator.permutation(np.unique(names[is_free]))
    return is_free & np.isin(names, order[: len(order) // 2])


def require_groups(groups: Groups) -> None:
    """Raise `UserError` where groups that somebody named say nothing: one of all samples, or one for each."""
    number = len(np.unique(groups))
    require(
        number > 1,
        "groups: all samples are of one group, so none can be held out from the others",
        hint="name the patient, document or scaffold that a sample belongs to",
    )
    require(
        number < len(groups),
        "groups: every sample is a group of its own",
        hint="leave groups out, or name the column of patients, documents or scaffolds, not that of ids",
    )


def require_apart(
    groups: Groups, first: Int[np.ndarray, " rows"], second: Int[np.ndarray, " others"], what: str
) -> None:
    """Raise `UserError` where a group has samples in both of two sets of rows; `what` says which sets these are."""
    both = np.intersect1d(groups[first], groups[second])
    require(
        len(both) == 0,
        f"groups: {len(both)} groups lie in both {what}, the first is {both[:1].tolist()}",
        hint="what a model learnt of one sample of a group tells of the others: divide whole groups",
    )


def joined(groups: Groups | None, copies: Int[np.ndarray, " samples"]) -> Int[np.ndarray, " samples"] | None:
    """Return groups that hold whole groups and all copies of a sample; None where every sample is alone.

    >>> joined(np.array(["a", "a", "b", "c"]), np.array([0, 1, 1, 2])).tolist()
    [0, 0, 0, 1]
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    group = np.arange(len(copies)) if groups is None else np.unique(groups, return_inverse=True)[1]
    number = int(group.max()) + 1
    shape = (number + int(copies.max()) + 1,) * 2
    links = coo_array((np.ones(len(copies), dtype=bool), (group, number + copies)), shape=shape)
    _, component = connected_components(links, directed=False)
    _, code = np.unique(component[group], return_inverse=True)
    return None if int(code.max()) + 1 == len(code) else code


def _require_even(what: str, count: int) -> None:
    require(
        count >= FEWEST_MODELS and count % 2 == 0,
        f"expected an even number of {what}, at least {FEWEST_MODELS}, got {count}",
        hint="models come in complementary pairs: what one trains on, its twin does not",
    )
