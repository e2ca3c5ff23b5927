"""The upper bound on membership inference security that a set of attacks gives.

Security is at most 1 - (TPR - FPR) of *any* attack, so the strongest of several bounds it best. Which one is
strongest, at which threshold and in which direction, is found on one half of the samples and measured on the other,
both ways: the price of having chosen among many is paid, and adding attacks that do not work does not make a model
look insecure.
"""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Shaped

from quantmis.errors import require
from quantmis.stats.cluster import Linear
from quantmis.stats.estimate import Estimate, Unmeasured
from quantmis.stats.heldout import Threshold, largest_advantage
from quantmis.stats.metrics import HELD_OUT, Table, accuracy, too_few
from quantmis.stats.roc import subset


class Bound(NamedTuple):
    """Hold the upper bound on security and the attack that gave it; two names where the halves chose differently.

    `right` is the balanced accuracy of the attacker behind it, with its influences, for paired comparisons; `accuracy`
    is the same with its interval. `is_reversed`: members were told by scores lower, not higher, than those of
    non-members, on one half at least.
    """

    security: Estimate | Unmeasured
    attack: str
    right: Linear | None = None
    accuracy: Estimate | Unmeasured = Unmeasured("no attack of this audit bounds security")
    is_reversed: bool = False


def security_upper_bound(
    scores: Mapping[str, Float[np.ndarray, "models samples"]],
    member: Bool[np.ndarray, "models samples"],
    level: float = 0.95,
    seed: int = 0,
    groups: Shaped[np.ndarray, " samples"] | None = None,
) -> Bound:
    """Return the upper bound on membership inference security from the scores of attacks by name.

    Leave out attacks whose `bounds_security` is false. With confidence (1 + `level`) / 2, security is below `high`.
    `groups` [samples]: which samples belong together. Raises `UserError` where there is no attack, or where scores and
    member do not fit.

    >>> member = np.arange(400)[None] % 2 == 0
    >>> noise = np.random.default_rng(0).normal(size=(2, 1, 400))
    >>> bound = security_upper_bound({"good": noise[0] + 2 * member, "blind": noise[1]}, member)
    >>> bound.attack, bound.security.low < 1 - 0.683 < bound.security.high
    ('good', True)
    """
    require(scores, "the upper bound on security needs the scores of at least one attack, got none")
    return strongest({name: Table.of(each, member, level, seed, groups) for name, each in sorted(scores.items())})


def strongest(tables: Mapping[str, Table]) -> Bound:
    """Return the bound that scores already tallied give, by the name of the attack; all over one table of members."""
    first = next(iter(tables.values()))
    member = first.member
    why = too_few(first)
    if why:
        return Bound(why, ", ".join(tables), accuracy=why)
    accepted, choices = _decide(tables, first.half)
    right = accuracy(accepted, member)
    measured = first.chosen_proportion(right, HELD_OUT.replace("threshold", "attack, threshold"))
    names = dict.fromkeys(name for name, _ in choices)
    is_reversed = any(threshold.is_reversed for _, threshold in choices)
    return Bound(security_of(measured), ", ".join(names), right, measured, is_reversed)


def _decide(
    tables: Mapping[str, Table], half: Bool[np.ndarray, " samples"]
) -> tuple[Bool[np.ndarray, "models samples"], list[tuple[str, Threshold]]]:
    member = next(iter(tables.values())).member
    accepted, choices = np.empty(member.shape, dtype=bool), list[tuple[str, Threshold]]()
    for side in (half, ~half):
        name, threshold = _strongest(tables, ~side)
        accepted[:, side] = threshold.accepts(tables[name].counts.level[:, side])
        choices.append((name, threshold))
    return accepted, choices


def _strongest(tables: Mapping[str, Table], columns: Bool[np.ndarray, " samples"]) -> tuple[str, Threshold]:
    best = {name: largest_advantage(subset(each.counts, each.member, columns)) for name, each in tables.items()}
    name = max(best, key=lambda each: (round(best[each][0], 12), not best[each][1].is_reversed))
    return name, best[name][1]


def security_of(right: Estimate) -> Estimate:
    """Turn the balanced accuracy (1 + advantage) / 2 of an attacker into 1 - advantage."""
    value, low, high = (min(2 - 2 * end, 1.0) for end in (right.value, right.high, right.low))
    return Estimate(value, low, high, right.level, right.method)
