"""What every attack is: a pure function from loss tables to scores, higher = more likely a member.

An attack scores every row of `target` as the model under attack. `reference` holds the attacker's own models: rows
over the same samples, with their memberships. `reference=None` means that the target's other rows are the references,
each row left out in its own turn: the *adaptive* attacker, whose references went through the target's quantizer.
Passing the full-precision table of the same models as `reference` is the *transfer* attacker.

**Who is left out.** A reference that was trained on exactly the samples of the target is the target itself (or its
full-precision self), and must not be held against it. Nor must one that was trained on exactly the other samples, its
twin: without the target but with the twin, every member of the target would have one reference fewer on its side
than every non-member, and an attack could read membership off these counts. So against each target row stand all
references but those whose membership equals its own or the complement of its own, whichever table they come from.
Models without a twin are attacked all the same, but their counts of references differ a little between members and
non-members: train models in complementary pairs.
"""

from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
from jaxtyping import Float

from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.registry import Registry


class Attack(ABC):
    """Score how member-like each sample looks to each model.

    A concrete attack is a frozen dataclass of its parameters and implements `compute`. `name` is what users write,
    `description` what people read of it, in a sentence or two that a non-specialist understands.
    `uses_references`: its score depends on other models. `bounds_security`: it knows no more than the attacker in the
    definition of membership inference security (the target, the sample, models of its own), so that its advantage
    bounds security from above.
    """

    name: ClassVar[str]
    description: ClassVar[str] = ""
    uses_references: ClassVar[bool]
    bounds_security: ClassVar[bool] = True

    def score(self, target: Evidence, reference: Evidence | None = None) -> Float[np.ndarray, "models samples"]:
        """Return a score per target model and sample, higher = more likely a member of its training set.

        Raises `UserError` where a row of `target` has only members or only non-members, where `reference` is over
        other samples, where the attack needs more references or other data than there are, and where it writes into
        the tables, which others read after it.
        """
        _require_both_kinds(target)
        _require_same_samples(target, reference)
        with _read_only(self.name, target, reference):
            scores = self.compute(target, reference)
        if scores.shape != target.losses.shape or not np.isfinite(scores).all():
            raise ValueError(f"{self.name}.compute must return finite scores of shape {target.losses.shape}")
        return scores

    @abstractmethod
    def compute(self, target: Evidence, reference: Evidence | None) -> Float[np.ndarray, "models samples"]:
        """Return the scores of tables that `score` has checked."""


ATTACKS: Registry[Attack] = Registry("attack", group="quantmis.attacks")


def _require_both_kinds(target: Evidence) -> None:
    trained_on = target.member.sum(1)
    one_sided = np.flatnonzero((trained_on == 0) | (trained_on == target.samples))
    require(
        len(one_sided) == 0,
        f"model {one_sided[:1]} has only members or only non-members among its {target.samples} samples",
        hint="an attack is judged on both; add samples that the model was not (or was) trained on",
    )


def _require_same_samples(target: Evidence, reference: Evidence | None) -> None:
    if reference is None:
        return
    hint = "evaluate the reference models at the target's samples, in the same order"
    require(
        reference.samples == target.samples,
        f"target and reference must be over the same samples, got {target.samples} and {reference.samples}",
        hint=hint,
    )
    if target.label is not None and reference.label is not None:
        same = np.array_equal(target.label, reference.label)
        require(same, "target and reference must be over the same samples, but their labels differ", hint=hint)


@contextmanager
def _read_only(name: str, *tables: Evidence | None) -> Generator[None]:
    """Let nobody write into the arrays of the tables while this lasts; `UserError` of the attack `name` that does."""
    arrays = [array for table in tables if table is not None for array in _arrays(table) if array.flags.writeable]
    for array in arrays:
        array.flags.writeable = False
    try:
        yield
    except ValueError as error:
        if "read-only" not in str(error):
            raise
        hint = "work on a copy: losses = target.losses.copy()"
        raise UserError(f"{name} writes into the tables that it is given", hint=hint) from error
    finally:
        for array in arrays:
            array.flags.writeable = True


def _arrays(table: Evidence) -> list[np.ndarray]:
    arrays = (table.losses, table.member, table.signal, table.entropy, table.label, *table.named.values())
    return [each for each in arrays if each is not None]
