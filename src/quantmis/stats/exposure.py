"""Who is exposed: the AUC within each class, and the single samples that models give away most.

A model may be safe on the whole and give away its rare class or its odd samples. The exposure of a sample is the
probability that a model trained on it scores it above a model that was not, ties counted half: 1/2 is nothing, 1 is
always. Among many samples some look exposed by chance; intervals of single samples therefore hold for all samples
together (Bonferroni). What is said of a single sample is about models, so that groups of samples do not matter to it.
"""

from dataclasses import dataclass

import numpy as np
import scipy
from jaxtyping import Bool, Float, Integer, Shaped

from quantmis.errors import require
from quantmis.stats import interval
from quantmis.stats.cluster import Spread, gather, pair_id
from quantmis.stats.estimate import Estimate, Unmeasured
from quantmis.stats.metrics import SAMPLES_NEEDED, Table
from quantmis.stats.roc import auc

MODELS_NEEDED = 8


@dataclass(frozen=True)
class Exposed:
    """Hold the exposure of one sample; `sample` is its column."""

    sample: int
    exposure: Estimate


def by_class(
    scores: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models samples"],
    label: Integer[np.ndarray, " samples"],
    level: float = 0.95,
    groups: Shaped[np.ndarray, " samples"] | None = None,
    each_other: bool = False,
) -> dict[int, Estimate | Unmeasured]:
    """Return the AUC within each class; classes with few members or non-members are unmeasured.

    `groups` [samples]: which samples belong together and are one draw. `each_other`: the models are each other's
    references.

    >>> member = np.arange(80)[None] % 2 == 0
    >>> areas = by_class(1.0 * member, member, np.array([0] * 77 + [1] * 3))
    >>> areas[0].value, areas[1].reason
    (1.0, 'not resolvable with 2 non-members and 1 members: 8 of each are needed')
    """
    require(label.shape == scores.shape[1:], f"label: expected {scores.shape[1]} labels, got {label.shape}")
    classes = ((each, label == each) for each in np.unique(label).tolist())
    return {
        each: _area(
            scores[:, in_class], member[:, in_class], level, None if groups is None else groups[in_class], each_other
        )
        for each, in_class in classes
    }


def most_exposed(
    scores: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models samples"],
    count: int = 10,
    level: float = 0.95,
) -> list[Exposed] | Unmeasured:
    """Return the `count` samples of highest exposure, the highest first, with intervals that hold for all samples.

    Samples that every model or no model was trained on are left out. Unmeasured for fewer than 8 models.

    >>> draw = np.random.default_rng(0)
    >>> half = draw.permuted(np.tile(np.arange(50) < 25, (20, 1)), axis=1)
    >>> member = np.stack([half, ~half], axis=1).reshape(40, 50)
    >>> scores = draw.normal(size=(40, 50)) + member * (np.arange(50) == 7) * 9
    >>> [first] = most_exposed(scores, member, count=1)
    >>> first.sample, first.exposure.value, first.exposure.low > 0.55
    (7, 1.0, True)
    """
    if len(scores) < MODELS_NEEDED:
        return Unmeasured(f"not resolvable with {len(scores)} models: {MODELS_NEEDED} are needed")
    columns = np.flatnonzero(member.any(0) & ~member.all(0))
    values, variances, freedom = _exposures(scores[:, columns], member[:, columns])
    spreads = [Spread(variance, freedom, len(scores)) for variance in variances.tolist()]
    order = np.lexsort((variances, -values))[:count]
    together = 1 - (1 - level) / max(len(columns), 1)
    return [
        Exposed(int(columns[each]), _exposure(float(values[each]), spreads[each], level, together)) for each in order
    ]


def _area(
    scores: Float[np.ndarray, "models samples"],
    member: Bool[np.ndarray, "models samples"],
    level: float,
    groups: Shaped[np.ndarray, " samples"] | None,
    each_other: bool,
) -> Estimate | Unmeasured:
    members, non_members = int(member.sum()), int((~member).sum())
    if min(members, non_members) < SAMPLES_NEEDED:
        counted = f"{non_members} non-members and {members} members"
        return Unmeasured(f"not resolvable with {counted}: {SAMPLES_NEEDED} of each are needed")
    table = Table.of(scores, member, level, groups=groups, each_other=each_other)
    return table.proportion(auc(table.counts, member), "ties counted half; ")


def _exposures(
    scores: Float[np.ndarray, "models samples"], member: Bool[np.ndarray, "models samples"]
) -> tuple[Float[np.ndarray, " samples"], Float[np.ndarray, " samples"], float]:
    """Return for each sample the AUC over models and its variance, and the variances' degrees of freedom."""
    inside, outside = member.sum(0), (~member).sum(0)
    overall = scipy.stats.rankdata(scores, axis=0)
    among_own = np.where(member, _ranks_among(scores, member), _ranks_among(scores, ~member))
    beaten = overall - among_own  # how many of the other kind score lower
    share = np.where(member, beaten / outside, 1 - beaten / inside)
    value = np.where(member, share, 0.0).sum(0) / inside
    influence = (share - value) / np.where(member, inside, outside)
    cells = gather(influence, pair_id(member))
    squares = [(part**2).sum(0) * len(part) / max(len(part) - 1, 1) for part in (influence, cells)]
    return value, np.maximum(*squares), max(len(cells) - 1.0, 1.0)


def _ranks_among(
    scores: Float[np.ndarray, "models samples"], is_among: Bool[np.ndarray, "models samples"]
) -> Float[np.ndarray, "models samples"]:
    return scipy.stats.rankdata(np.where(is_among, scores, np.inf), axis=0)  # the rest ranks above


def _exposure(value: float, over: Spread, level: float, together: float) -> Estimate:
    low, high = interval.wilson(value, over, together, units=int(over.freedom) + 1)
    return Estimate(value, low, high, level, "clustered by model; holds for all samples together (Bonferroni)")


def exposure_bits(
    signals: Float[np.ndarray, "models canaries"], alternatives: Float[np.ndarray, "models alternatives"]
) -> Float[np.ndarray, "models canaries"]:
    """Return the exposure of canaries in bits: log2 of the number of texts, less log2 of the rank among them.

    A canary is ranked with the `alternatives`, texts of the same law that nobody trained on, by the signal of each
    model, the highest first; ties share the mean of their ranks. It has at most log2(alternatives + 1) bits (Carlini,
    Liu, Erlingsson, Kos & Song 2019, arXiv 1802.08232, section 4).

    >>> exposure_bits(np.array([[5.0, -5.0]]), np.array([[0.0, 1.0, 2.0]])).tolist()
    [[2.0, 0.0]]
    """
    above = (alternatives[:, None, :] > signals[:, :, None]).sum(-1)
    level = (alternatives[:, None, :] == signals[:, :, None]).sum(-1)
    rank = 1 + above + level / 2
    return np.log2(alternatives.shape[1] + 1) - np.log2(rank)
