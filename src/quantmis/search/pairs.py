"""The pairs of a search, trained once: every candidate is rows of one version of the same models."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from quantmis import seeds
from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local, executor
from quantmis.audit.execution.keys import weights_keys
from quantmis.audit.execution.planning import plan
from quantmis.audit.execution.progress import Stages
from quantmis.audit.execution.store import WEIGHTS, Store
from quantmis.audit.execution.work import Work
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.models import Task
from quantmis.quantizers import Identity, Quantizer
from quantmis.tables import LossTable

UNUSED = ("quantizers", "attacks", "release", "checkpoint_every")
"""Options of an audit that say nothing of the models of a search."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Hold trained models and where their weights and rows are; `whole` is the table of full precision."""

    work: Work
    store: Store
    whole: LossTable

    def tables(self, quantizers: Sequence[Quantizer]) -> list[LossTable]:
        """Return the table of each quantizer, from the store where it has been asked for before."""
        return _tables(replace(self.work, quantizers=tuple(quantizers)), self.store)

    @property
    def keys(self) -> list[str]:
        """The hashes of everything that the models depend on."""
        return list(weights_keys(self.work).values())


def trained(
    task: Task,
    samples: Samples,
    options: AuditOptions,
    trainings: int,
    first: Sequence[Quantizer],
    folder: Path,
    stages: Stages,
) -> Pairs:
    """Return pairs of models of the `samples`, trained unless `folder` has them, once the quantizers `first` are tried.

    Raises `UserError` as an audit does, and where weights alone are not the models.
    """
    nothing = {name: AuditOptions.model_fields[name].default for name in UNUSED}
    ours = {"depth": "indicator", "shadows": 0, "replicates": trainings, "keep_weights": "all", "canaries": 0}
    seed = seeds.integer(options.seed, "search")
    request = audit_request(
        task, samples, None, options.model_copy(update={**nothing, **ours, "seed": seed}), quantizers=first
    )
    request, member = checked(request)
    store = Store(folder)
    work = replace(plan(request, member, store), quantizers=(Identity(),))
    tick = stages.stage("train", len(work.member) * work.steps, work.expected)
    [whole] = assemble(work, collect(work, executor(options.executor, options.address), store, tick).groups)
    kept = all(store.path(key, WEIGHTS).exists() for key in weights_keys(work).values())
    require(
        kept,
        "the recipe changes more of a model than its tensors, so that every candidate would be trained again",
        hint="audit the quantizers that you have in mind: quantmis audit",
    )
    here = replace(work, engine=replace(work.engine, workers=1))  # a candidate takes less than a process to start
    return Pairs(here, store, whole)


def _tables(work: Work, store: Store) -> list[LossTable]:
    return assemble(work, collect(work, Local(), store, lambda done: None).groups)
