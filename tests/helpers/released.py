"""Worlds of released versions whose joint attack is known: full precision, and versions with noise of their own."""

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.stats import norm

from quantmis import Evidence
from quantmis.analysis import AnalysisSettings
from quantmis.analysis.release import score_release
from quantmis.analysis.scoring import References, score
from quantmis.attacks import Attack, LiRA
from quantmis.measures import ScoredRelease
from quantmis.tables import LossTable, VersionTraits


def table(name: str, evidence: Evidence, about: str = "models") -> LossTable:
    """Return the loss table of a version, all of whose samples are attacked."""
    everything = np.ones(evidence.samples, dtype=bool)
    traits = (VersionTraits("f", 32.0, 0.0, 1, []),) * evidence.models
    return LossTable(name, evidence, None, None, "accuracy", traits, everything, ~everything, about)  # pyright: ignore[reportArgumentType]


def members(rng: np.random.Generator, pairs: int, samples: int) -> np.ndarray:
    """Return memberships of complementary pairs of models, each trained on half of the samples."""
    half = rng.permuted(np.tile(np.arange(samples) < samples // 2, (pairs, 1)), axis=1)
    return np.stack([half, ~half], axis=1).reshape(2 * pairs, samples)


def world(
    rng: np.random.Generator, gap: float, noises: Sequence[float], pairs: int = 8, samples: int = 300
) -> dict[str, Evidence]:
    """Return versions of models: members' signals stand `gap` higher, each version adds noise of its own.

    Signals of the full models have standard deviation 1 about a level of each sample's own.
    """
    member = members(rng, pairs, samples)
    full = 3 * rng.normal(size=samples) + rng.normal(size=member.shape) + gap * member
    return {
        f"version {number}": Evidence(-(full + noise * rng.normal(size=member.shape)), member)
        for number, noise in enumerate(noises)
    }


def accuracy(gap: float, noises: Sequence[float], pairs: int) -> float:
    """Return how often the best attack is right: of independent noises precisions add up, given the full model.

    Each sample's level is known from the references alone, all but target and twin: 2 (pairs - 1) of them.
    """
    left = 1 / sum(1 / noise**2 for noise in noises) if min(noises) > 0 else 0.0
    return float(norm.cdf(gap / sqrt((1 + left) * (1 + 1 / (2 * pairs - 2))) / 2))


def together(
    versions: dict[str, Evidence], attacks: Sequence[Attack] = (LiRA(),), level: float = 0.95, seed: int = 0
) -> ScoredRelease:
    """Return the release of all versions, whose models attack each other."""
    settings = AnalysisSettings(tuple(attacks), len(next(iter(versions.values())).losses), 2, seed, level)
    scored = [score(table(name, each), References(), settings) for name, each in versions.items()]
    return score_release(scored, [References()] * len(scored), settings)
