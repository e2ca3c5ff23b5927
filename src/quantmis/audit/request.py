"""What was asked for, as one object that the whole audit is handed."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from quantmis.attacks import Attack
from quantmis.audit.options import AuditOptions
from quantmis.audit.released import released
from quantmis.audit.settings import Settings, attacks_of, models_of, quantizers_of
from quantmis.audit.target.blind_baseline import BlindScores
from quantmis.audit.target.open_model import OpenModel
from quantmis.audit.target.target import Target
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.models import CausalLM, Task
from quantmis.quantizers import Quantizer
from quantmis.stats import Unmeasured


@dataclass(frozen=True)
class Declared:
    """Hold what was declared of who audits, and of who gets the weights under which terms; documents repeat it.

    `fitted`: what was fitted on members before training, a phrase each.
    """

    auditor: dict[str, str] | None = None
    release_context: dict[str, str] | None = None
    fitted: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuditRequest:
    """Hold task, samples and target, how to audit them, the folder and the command line, if any."""

    task: Task
    samples: Samples
    settings: Settings
    out: Path | None
    command: str
    target: Target | None = None
    declared: Declared = Declared()

    @cached_property
    def open_model(self) -> OpenModel:
        """The model of the target, read when it is first asked for and kept as long as the request."""
        assert self.target is not None  # noqa: S101 for the type checker
        return OpenModel(self.target, self.task, self.out)

    @cached_property
    def blind_scores(self) -> dict[str, BlindScores | Unmeasured]:
        """What classifiers that never see the model made of samples, by whom these are, once they were fitted."""
        return {}


def audit_request(
    task: Task,
    samples: Samples,
    target: Target | None,
    options: AuditOptions,
    out: Path | None = None,
    command: str = "",
    quantizers: Sequence[str | Quantizer] | None = None,
    attacks: Sequence[str | Attack] | None = None,
) -> AuditRequest:
    """Return what is asked for; `quantizers` and `attacks` may be objects, which stand for those of the options.

    Raises `UserError` for what cannot be.
    """
    _require_kinds(task, samples, target)
    task = placed(task, options).of_inputs(samples.layout)
    deepest = "indicator" if isinstance(task.loss, CausalLM) else "shadow"
    models = models_of(options, target is not None, task.has_recipe and not _forgets(target), deepest)
    _require_as_is(target, max(models))
    methods = options.quantizers if quantizers is None else quantizers
    choice = () if methods is None and target is not None and target.quantized else methods
    settings = Settings(
        quantizers=quantizers_of(choice),
        attacks=attacks_of(
            options.attacks if attacks is None else attacks, models, task.loss, task.loss.named_signals(samples)
        ),
        shadows=models.shadows,
        replicates=models.replicates,
        options=options,
    )
    settings = replace(settings, release=released(options.release, settings, target))
    return AuditRequest(task, samples, settings, out, command, target)


def _require_kinds(task: Any, samples: Any, target: Any) -> None:
    """Raise `UserError` for other things in the place of task, samples and target, with how to make them."""
    for name, each, kind, hint in (
        ("task", task, Task, "qm.Task(MyModel) says what is audited; a trained model belongs into qm.Target"),
        ("samples", samples, Samples, "qm.Samples(x, y) holds inputs and targets"),
        ("target", target, Target | None, "qm.Target(model, members, non_members), both numbers of rows"),
    ):
        require(isinstance(each, kind), f"{name}: expected a qm.{name.title()}, got {type(each).__name__}", hint=hint)


def placed(task: Task, options: AuditOptions) -> Task:
    """Return the task on the device and in the number format of the options; `UserError` for one that is not there."""
    language = isinstance(task.loss, CausalLM)
    require(options.dtype is None or language, "dtype is for language models", hint="it is a key of a causal-lm audit")
    return task.on(options.device, options.dtype)


def _forgets(target: Target | None) -> bool:
    return target is not None and target.forget is not None


def _require_as_is(target: Target | None, models: int) -> None:
    require(
        not (_forgets(target) and models),
        "a model that was made to forget is audited as it is: models that are trained afresh never had to forget",
        hint='leave out shadows and replicates, or say depth = "as-is"',
    )
