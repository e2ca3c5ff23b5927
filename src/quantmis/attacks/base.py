"""What every attack is: a pure function from loss tables to scores, higher = more likely a member.

An attack scores every row of `target` as the model under attack. `reference` holds the attacker's own models: rows
over the same samples, with their memberships. `reference=None` means that the target's other rows are the references,
each row left out in its own turn: the *adaptive* attacker, whose references went through the target's quantizer.
Passing the full-precision table of the same models as `reference` is the *transfer* attacker.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.evidence import Evidence
from quantmis.registry import Registry


class Attack(ABC):
    """Score how member-like each sample looks to each model.

    A concrete attack is a frozen dataclass of its parameters. `name` is what users write; `uses_references` says
    whether its score depends on other models.
    """

    name: ClassVar[str]
    uses_references: ClassVar[bool]

    @abstractmethod
    def score(self, target: Evidence, reference: Evidence | None = None) -> Float[np.ndarray, "models samples"]:
        """Return a score per target model and sample, higher = more likely a member of its training set."""


ATTACKS: Registry[Attack] = Registry("attack", group="quantmis.attacks")
