"""What of an audit's options its numbers depend on, once the loss tables are there."""

from dataclasses import dataclass
from typing import Literal

from quantmis.attacks import Attack, lead_attack
from quantmis.measures import Precision
from quantmis.registry import spelling


@dataclass(frozen=True)
class AnalysisSettings:
    """Hold the attacks and how measures are taken.

    `shadows` and `replicates`: how many models attack each other, and how many of them the indicator compares.
    `canaries`: how many wrongly labelled copies, or random texts at each count, were trained on. `release`: which
    versions are released together; None for all of a subject.
    """

    attacks: tuple[Attack, ...]
    shadows: int
    replicates: int
    seed: int
    level: float
    canaries: int = 0
    release: tuple[tuple[str, ...], ...] | None = None

    @property
    def depth(self) -> Literal["shadow", "indicator", "as-is"]:
        """How deep the audit looks, by what it trained."""
        if self.shadows:
            return "shadow"
        return "indicator" if self.replicates else "as-is"

    @property
    def precision(self) -> Precision:
        """How measures are taken."""
        return Precision(self.level, self.seed, self.replicates)

    @property
    def lead_attack(self) -> Attack:
        """The attack that single numbers are told by."""
        return lead_attack(self.attacks)

    @property
    def attack_names(self) -> list[str]:
        """The attacks as users write them."""
        return [spelling(attack) for attack in self.attacks]
