"""Gaussian mixtures: k components in 128 dimensions, whose labels an MLP learns, as in the paper's first experiment.

The means are drawn from a normal law of `SEPARATION` per dimension, the points about them from the standard one, so
that classes overlap little and a network can still remember single points.
"""

from dataclasses import dataclass

import numpy as np

from quantmis import seeds
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.models import Recipe, Task
from quantmis.models.heads import Head
from quantmis.stats.average import average
from quantmis.studies.problem import Problem

DIMENSION = 128
SEPARATION = 0.25
HIDDEN = 64
HELD_OUT = 4000
COMPONENTS = (2, 5, 10, 20)
MEMBERS = (250, 1000, 4000)
RECIPE = Recipe(epochs=30, batch_size=32, learning_rate=1e-3)


@dataclass(frozen=True)
class Mixture:
    """Make the head that tells the components of a mixture apart."""

    components: int

    def __call__(self) -> Head:
        """Return a fresh head."""
        return Head(DIMENSION, self.components, hidden=HIDDEN)


def mixture(components: int, samples: int, generator: np.random.Generator) -> Samples:
    """Return points of a mixture of equally likely Gaussians, labelled by their component.

    >>> points = mixture(3, 90, np.random.default_rng(0))
    >>> points.x.shape, np.unique(points.y).tolist()
    ((90, 128), [0, 1, 2])
    """
    require(components >= 2, f"expected at least 2 components, got {components}")
    means = SEPARATION * generator.normal(size=(components, DIMENSION))
    labels = np.arange(samples) % components
    return Samples(means[labels] + generator.normal(size=(samples, DIMENSION)), labels)


def problems(fast: bool = False, seed: int = 0) -> list[Problem]:
    """Return the problems of the study, from the cheapest to the dearest; a few of them where it is to be `fast`."""
    sizes = [(k, MEMBERS[0]) for k in COMPONENTS] if fast else [(k, n) for n in MEMBERS for k in COMPONENTS]
    return [_problem(k, n, seed) for k, n in sizes]


def _problem(components: int, members: int, seed: int) -> Problem:
    samples = mixture(components, 2 * members + HELD_OUT, seeds.generator(seed, "mixture", components, members))
    trainable = np.arange(len(samples)) < 2 * members
    name = f"{components} components, {members} members"
    return Problem(
        name=name,
        cluster=name,
        task=Task(Mixture(components), recipe=RECIPE, name=f"MLP {DIMENSION}-{HIDDEN}-{components}"),
        samples=samples,
        trainable=trainable,
        metric="accuracy",
        chance=1 / components,
        utility_of=lambda utility, level: average(utility, np.eye(len(utility), dtype=bool), level),
        facts={"components": components, "members": members},
    )
