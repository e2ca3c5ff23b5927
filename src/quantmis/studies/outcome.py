"""What was measured of one problem, and where it is kept."""

import sys
from pathlib import Path
from typing import Literal

import pydantic

from quantmis.files import write_atomically
from quantmis.measures import Record
from quantmis.results import Measured
from quantmis.stats import Estimate

LOWER_IS_BETTER = ("mae",)


class QuantizerOutcome(Record):
    """Hold what was measured of one quantizer.

    `utility`: that of models trained on everything that may be trained on, in the metric of the problem. `lira`,
    `paired_replicates` and `loss_threshold`: AUC of the attacks. `advantage`: of LiRA. `indicator`: r_Q. `security`:
    by theory, for a training that finds the best of the models that were reached.
    """

    name: str
    bits_per_weight: float
    sparsity: float
    utility: Estimate
    lira: Estimate
    advantage: Measured
    paired_replicates: Estimate
    loss_threshold: Estimate
    indicator: Measured
    security: Measured


class Outcome(Record):
    """Hold what was measured of one problem; problems of one `cluster` share data and are not independent.

    `key` is the hash of everything that the numbers depend on. `chance` is the utility of knowing nothing, in the same
    `metric`. `members` counts the samples that a shadow model is trained on, `trained` those that models for the
    utility are, `held_out` those that no model is. `facts` are what tables sort by. `seconds` is what it took.
    """

    key: str
    problem: str
    cluster: str
    kind: Literal["classification", "regression"]
    metric: str
    chance: float
    members: int
    trained: int
    held_out: int
    facts: dict[str, str | int]
    seconds: float
    quantizers: list[QuantizerOutcome]

    def of(self, name: str) -> QuantizerOutcome:
        """Return what was measured of the quantizer `name`."""
        return next(each for each in self.quantizers if each.name == name)

    @property
    def skilled(self) -> bool:
        """Whether the full-precision model is beyond doubt better than knowing nothing."""
        full = self.quantizers[0].utility
        return full.high < self.chance if self.metric in LOWER_IS_BETTER else full.low > self.chance

    def lost(self, name: str) -> float:
        """Return the share of its skill, its utility beyond chance, that the model loses to the quantizer `name`.

        It means nothing of a model that has no skill, that is not `skilled`.
        """
        full = self.quantizers[0].utility.value
        return (full - self.of(name).utility.value) / (full - self.chance)


def stored_outcome(path: Path, key: str) -> Outcome | None:
    """Return the outcome that stands at `path`, or None where there is none, or one of something else."""
    if not path.exists():
        return None
    try:
        outcome = Outcome.model_validate_json(path.read_bytes())
    except (pydantic.ValidationError, ValueError) as error:
        print(f"{path} is damaged and measured again: {error}", file=sys.stderr)  # noqa: T201
        return None
    return outcome if outcome.key == key else None


def keep(path: Path, outcome: Outcome) -> None:
    """Write an outcome at `path`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, outcome.model_dump_json(indent=1, exclude_none=True).encode() + b"\n", private=False)
