"""Differential privacy as a part of a recipe: DP-SGD (Abadi et al. 2016, arXiv 1607.00133) and its accountant.

Each step takes every sample of the training set by a coin of its own (Poisson sampling), clips the gradient of each
sample that it took to one norm, sums them and adds normal noise. What that guarantees for a record that is added or
removed is counted by Google's dp-accounting from privacy loss distributions, rounded so that it never says too little.
"""

import math
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from typing import Any

from quantmis.errors import UserError, require

COARSE, STEPS_TO_EPSILON, HALVINGS = 1e-2, 525, 10
"""The grid of privacy losses, on which the accountant rounds upwards: it is halved until epsilon is so many steps."""

TOLERANCE = 1e-3
"""How near the noise comes to the least that keeps epsilon, from above, relative to it."""


@dataclass(frozen=True, kw_only=True)
class DP:
    """Ask for training with (epsilon, delta)-differential privacy of each record, by DP-SGD.

    `epsilon`: what is guaranteed; the noise follows from it. Or `noise_multiplier`: the standard deviation of the
    noise, in units of `clip_norm`; epsilon follows from that. `delta`: the probability that the guarantee may fail by,
    by convention less than one over the number of records. `clip_norm`: the largest norm of one sample's gradient, over
    all parameters. Raises `UserError` for numbers that guarantee nothing.

    >>> DP(epsilon=8, delta=1e-5).clip_norm
    1.0
    """

    delta: float
    epsilon: float | None = None
    noise_multiplier: float | None = None
    clip_norm: float = 1.0

    def __post_init__(self):
        require(
            (self.epsilon is None) != (self.noise_multiplier is None),
            "dp: expected epsilon or noise_multiplier, one of them",
            hint="the other follows from it, the batch size and the steps",
        )
        for name in ("epsilon", "noise_multiplier", "clip_norm"):
            _require_positive(name, getattr(self, name))
        require(
            0 < self.delta < 1,
            f"dp.delta: expected a probability between 0 and 1, got {self.delta}",
            hint="by convention less than 1 / n for n records, such as 1e-5",
        )

    def as_dict(self) -> dict[str, float]:
        """Return what was asked for by name, as results.json has it among the fields of the recipe."""
        return {f"dp_{name}": value for name, value in vars(self).items() if value is not None}


@dataclass(frozen=True)
class Mechanism:
    """Hold what the accountant counts of one training: `steps` draws of each record with probability `rate`.

    `noise_multiplier` is the standard deviation of the noise over the largest norm of one gradient.
    """

    rate: float
    steps: int
    noise_multiplier: float

    def epsilon(self, delta: float) -> float:
        """Return what is guaranteed at `delta`; `UserError` without dp-accounting."""
        return epsilon_of(self.noise_multiplier, self.rate, self.steps, delta)


def mechanism_of(dp: DP, rate: float, steps: int) -> Mechanism:
    """Return the mechanism that keeps what `dp` asks for; `UserError` without dp-accounting where that is epsilon."""
    noise = dp.noise_multiplier
    if noise is None:
        assert dp.epsilon is not None  # noqa: S101 for the type checker
        noise = noise_multiplier_for(dp.epsilon, dp.delta, rate, steps)
    return Mechanism(rate, steps, noise)


@cache
def epsilon_of(noise_multiplier: float, rate: float, steps: int, delta: float) -> float:
    """Return the epsilon of `steps` steps at sampling probability `rate`, for a record that is added or removed."""
    event = _event(noise_multiplier, rate, steps)
    about = float(_fresh(COARSE).compose(event).get_epsilon(delta))
    grid = _grid(about)
    return about if grid == COARSE else float(_fresh(grid).compose(event).get_epsilon(delta))


@cache
def noise_multiplier_for(epsilon: float, delta: float, rate: float, steps: int) -> float:
    """Return the least noise, up to `TOLERANCE`, by which `steps` steps keep epsilon."""
    low, high = 1.0, 2.0  # little noise is dear to account for, so it is tried last
    while epsilon_of(low, rate, steps, delta) <= epsilon:
        low, high = low / 2, low
    noise: float = _accounting().calibrate_dp_mechanism(
        partial(_fresh, _grid(epsilon)),
        partial(_event, rate=rate, steps=steps),
        epsilon,
        delta,
        _accounting().LowerEndpointAndGuess(low, high),
        tol=TOLERANCE * low,
    )
    return float(noise)


def _grid(epsilon: float) -> float:
    halvings = math.ceil(math.log2(COARSE * STEPS_TO_EPSILON / max(epsilon, COARSE)))
    return COARSE / 2 ** min(max(halvings, 0), HALVINGS)


def _fresh(grid: float) -> Any:
    return _accounting().pld.PLDAccountant(value_discretization_interval=grid)


def accountant() -> str:
    """Return what counted epsilon, with its version."""
    _accounting()
    return f"dp-accounting {version('dp-accounting')}, privacy loss distributions"


def _event(noise_multiplier: float, rate: float, steps: int) -> Any:
    accounting = _accounting()
    step = accounting.PoissonSampledDpEvent(rate, accounting.GaussianDpEvent(noise_multiplier))
    return accounting.SelfComposedDpEvent(step, steps)


def _accounting() -> Any:
    """Return dp-accounting; `UserError` where it is not installed."""
    try:
        import dp_accounting
        import dp_accounting.pld  # pyright: ignore[reportUnusedImport] it is reached through the package
    except ImportError as error:
        hint = "pip install 'quantmis[dp]'"
        raise UserError(
            "differential privacy is counted by dp-accounting, which is not installed", hint=hint
        ) from error
    return dp_accounting


def _require_positive(name: str, value: float | None) -> None:
    good = value is None or 0 < value < math.inf
    require(good, f"dp.{name}: expected a positive number, got {value}", hint=MEANINGS[name])


MEANINGS = {
    "epsilon": "from below 1, which is strong, to about 10; what is infinite guarantees nothing",
    "noise_multiplier": "without noise nothing is guaranteed",
    "clip_norm": "the largest norm of one sample's gradient: noise is measured in it",
}
