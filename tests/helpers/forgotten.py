"""Worlds of forgetting of a known truth: what is left in full precision, and in versions with noise of their own."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import norm

from quantmis import Evidence
from quantmis.measures import Precision, ScoredVersion, measures_of
from quantmis.results import VersionResult
from quantmis.stats import Bound, Unmeasured
from quantmis.tables import Forgetting, LossTable, VersionTraits

FORGET, RETAINED, NEVER_SEEN = 150, 100, 250


def shift(auc: float) -> float:
    """Return how much higher a normal score stands whose AUC is this."""
    return float(np.sqrt(2) * norm.ppf(auc))


def scored(
    scores: np.ndarray,
    whole: ScoredVersion | None = None,
    label: np.ndarray | None = None,
    name: str = "identity",
    **forgetting: object,
) -> ScoredVersion:
    """Return a version with these scores of the forgotten, the retained and the never seen, in this order."""
    samples = FORGET + RETAINED + NEVER_SEEN
    row = np.arange(samples)
    is_forget, is_held_out = row < FORGET, row >= FORGET + RETAINED
    member = ~is_forget & ~is_held_out
    evidence = Evidence(-scores[None].astype(np.float64), member[None], label=label)
    table = LossTable(
        name, evidence, (scores > 0)[None].astype(np.float64), None, "accuracy", (VersionTraits("f", 4, 0, 1, []),),
        ~is_forget, is_held_out, "target", forgetting=Forgetting(is_forget, **forgetting),
    )  # fmt: skip  # pyright: ignore[reportArgumentType]
    nothing = Bound(Unmeasured("not tried"), "", accuracy=Unmeasured("not tried"))
    return ScoredVersion(table, {}, {}, nothing, "", Precision(0.95), whole)


def world(rng: np.random.Generator, aucs: Sequence[float], common: float = 0.8) -> list[ScoredVersion]:
    """Return versions, full precision first, whose forgotten samples have these AUCs against those never seen.

    Scores of versions share the part `common` of their variance, as roundings of one model do.
    """
    samples = FORGET + RETAINED + NEVER_SEEN
    shared, versions = rng.normal(size=samples), list[ScoredVersion]()
    for number, auc in enumerate(aucs):
        own = np.sqrt(common) * shared + np.sqrt(1 - common) * rng.normal(size=samples)
        own[:FORGET] += shift(auc)
        name = "identity" if number == 0 else f"version {number}"
        versions.append(scored(own, versions[0] if versions else None, name=name))
    return versions


def described(version: ScoredVersion, *names: str) -> VersionResult:
    """Return the record of a version with these measures, by default all of forgetting."""
    measures = {name: each for name, each in measures_of("version").items() if name in names or "forget" in name}
    values = {name: each.compute(version) for name, each in measures.items() if not names or name in names}
    return VersionResult(
        name=version.table.name,
        untouched=[],
        models=1,
        distinct=1,
        table=version.table.path,
        utility_metric=version.table.metric,
        measures={name: value for name, value in values.items() if value is not None},
        attacks={},
    )
