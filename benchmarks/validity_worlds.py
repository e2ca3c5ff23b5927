"""Worlds whose truth is known: tables of margins of classifiers that remember their members more or less.

The margin of a model at a sample (the log-odds of the right class) is a sum of normal effects of the sample, of the
model and of the entry, and of what membership adds. Losses are log(1 + exp(-margin)). `Effects` are what models bring
along; the truth about *these* models is the same with their effects held and samples without end.
"""

from dataclasses import dataclass, replace

import numpy as np

from quantmis.data.membership import complementary_halves
from quantmis.evidence import Evidence


@dataclass(frozen=True)
class World:
    """Hold the standard deviations of effects, and by how much a member's margin is higher (`leak`).

    `twins`: the correlation of what two twins remember. `rare`: the share of samples, the same for all models, and
    `few`: the share of a model's members, other ones for each, whose margin is higher by `by`.
    """

    leak: float = 0.0
    difficulty: float = 1.0
    shift: float = 0.0
    sample_leak: float = 0.0
    model_leak: float = 0.0
    twins: float = 0.0
    rare: float = 0.0
    few: float = 0.0
    by: float = 0.0

    def effects(self, models: int, rng: np.random.Generator) -> "Effects":
        """Return what `models` bring along; an odd one out is the first of its pair."""
        pairs = -(-models // 2)
        first, other = rng.normal(size=(2, pairs))
        second = self.twins * first + np.sqrt(1 - self.twins**2) * other
        leaks = np.stack([first, second], axis=1).ravel()[:models]
        return Effects(self.shift * rng.normal(size=models), self.leak + self.model_leak * leaks)

    def draw(self, effects: "Effects", samples: int, rng: np.random.Generator) -> Evidence:
        """Return the table of models with these effects over fresh samples."""
        models = len(effects.leak)
        member = complementary_halves(models + models % 2, samples, rng)[:models]
        apart = self.sample_leak * rng.normal(size=samples) + self.by * (rng.random(samples) < self.rare)
        gain = effects.leak[:, None] + apart + self.by * (rng.random(member.shape) < self.few)
        common = 1 + self.difficulty * rng.normal(size=samples) + effects.shift[:, None]
        return table(common + rng.normal(size=member.shape) + gain * member, member)

    def table(self, models: int, samples: int, rng: np.random.Generator) -> Evidence:
        """Return the table of fresh models over fresh samples."""
        return self.draw(self.effects(models, rng), samples, rng)


@dataclass(frozen=True, eq=False)
class Effects:
    """Hold what each model brings along: how high its margins are, and how much it remembers."""

    shift: np.ndarray
    leak: np.ndarray


WORLDS = {
    "null": World(),
    "weak": World(leak=0.15, sample_leak=0.2),
    "mild": World(leak=0.5, sample_leak=0.3, shift=0.2, model_leak=0.1),
    "strong": World(leak=2.0, sample_leak=0.5, shift=0.3, model_leak=0.3),
    "rare": World(leak=0.05, rare=0.03, by=4.0),
    "opposed twins": World(leak=0.5, model_leak=0.3, twins=-1.0, shift=0.2),
    "few strong members": World(leak=0.05, few=0.03, by=5.0),
}


def table(margin: np.ndarray, member: np.ndarray) -> Evidence:
    """Return the loss table of margins."""
    return Evidence(np.logaddexp(0, -margin), member, signal=margin)


@dataclass(frozen=True)
class Versions:
    """Make versions of the models of a world: margins with noise of the version's own, by which less is given away.

    `noise`: the standard deviation of each version's noise per entry. `training`: that of what a version adds to what
    each *model* remembers, by chance. Equal noises are versions equal in law, such as roundings by coins.
    """

    world: World
    noise: tuple[float, ...]
    training: float = 0.05

    def draw(self, models: int, samples: int, rng: np.random.Generator) -> list[Evidence]:
        """Return the table of each version, over the same models and samples."""
        whole = self.world.table(models, samples, rng)
        return [self._version(whole, noise, rng) for noise in self.noise]

    def _version(self, whole: Evidence, noise: float, rng: np.random.Generator) -> Evidence:
        own = self.training * noise * rng.normal(size=(whole.models, 1)) * whole.member
        margin = whole.signals + own + noise * rng.normal(size=whole.losses.shape)
        return table(margin, whole.member)


def deceiving(version: Evidence, how: str, rng: np.random.Generator) -> Evidence:
    """Return a version that gives away as much and looks otherwise.

    "scaled": the last layer divided by 4; "offset": each of two classes moved against the other; "spared": noise where
    there are few members, that is on non-members' margins alone (which gives away *more*).
    """
    margin = version.signals
    if how == "scaled":
        return table(margin / 4, version.member)
    if how == "offset":
        return table(margin + np.where(np.arange(version.samples) % 2, 1.5, -1.5), version.member)
    noise = rng.normal(size=margin.shape) - 1.5
    return table(margin + np.where(version.member, 0.0, noise), version.member)


def held(world: World, effects: Effects) -> World:
    """Return the world for models of these effects alone."""
    return replace(world, leak=float(effects.leak.mean()), model_leak=0.0)
