"""What is searched for, as one object that the whole search is handed."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from quantmis.audit.options import AuditOptions
from quantmis.audit.search_options import SearchOptions
from quantmis.audit.settings import QUANTIZERS_BY_DEFAULT, quantizers_of
from quantmis.audit.target.target import Target
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.gate.policy import Policy
from quantmis.models import Task
from quantmis.quantizers import QUANTIZERS, Identity, Quantizer
from quantmis.search.confirming import Rows, divided, part_of
from quantmis.search.limits import Limit, limits_of
from quantmis.search.parts import parts_of
from quantmis.search.space import Space, space_of

FOLDER = "search"
"""Where the pairs, their rows and the journal are, in the folder of the result."""


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """Hold task, samples and target, the options of the audit and of the search, the policy and the folder.

    `command`: the command line that asked, if any. Raises `UserError` for what cannot be searched.
    """

    task: Task
    samples: Samples
    target: Target | None
    options: AuditOptions
    search: SearchOptions
    policy: Policy | None
    out: Path
    command: str = ""

    def __post_init__(self):
        require(self.task.has_recipe, "a search trains pairs of models, and nothing says how", hint="give a recipe")
        probe = self.probe
        alone = probe.has_codes and probe.extra is None
        require(alone, f"probe: {self.search.probe} cannot quantize one layer alone", hint='probe = "uniform(bits=2)"')

    @cached_property
    def space(self) -> Space:
        """What may be tried; `UserError` for one of nothing to choose."""
        return space_of(self.search, parts_of(self.task.build(0), self.search.layers))

    @property
    def probe(self) -> Quantizer:
        """The quantizer that layers are told apart by."""
        return QUANTIZERS.parse(self.search.probe)

    @property
    def limits(self) -> tuple[Limit, ...]:
        """What candidates are held to."""
        return limits_of(self.policy, self.search.loss_at_most)[0]

    @property
    def not_judged(self) -> list[str]:
        """The keys of the policy that a search cannot judge."""
        return limits_of(self.policy, self.search.loss_at_most)[1]

    @property
    def beside(self) -> tuple[Quantizer, ...]:
        """The versions that are confirmed beside the front: those of the audit, or those that it has by default."""
        named = QUANTIZERS_BY_DEFAULT if self.options.quantizers is None else self.options.quantizers
        return tuple(each for each in quantizers_of(named) if each != Identity())

    @cached_property
    def _rows(self) -> tuple[np.ndarray, np.ndarray]:
        return divided(self.samples, self.search.apart, self.options.seed)

    @property
    def unseen(self) -> Rows:
        """The rows that the search never sees."""
        return self._rows[1]

    @cached_property
    def seen(self) -> Samples:
        """The samples that the search sees."""
        return part_of(self.samples, self._rows[0])
