"""Whether members differ from non-members by themselves: what a classifier that never sees the model makes of them."""

import numpy as np

from quantmis.audit.request import AuditRequest
from quantmis.audit.target.blind_baseline import FOLDS, blind_baseline, too_few_groups
from quantmis.errors import UserError
from quantmis.evidence import where_any_is_shared
from quantmis.results import BlindBaseline
from quantmis.stats import Estimate, Unmeasured

CERTAIN = 0.999
"""The level at which sets that differ by themselves are refused: one sound audit in a thousand is."""


def blind(request: AuditRequest, level: float | None = None) -> BlindBaseline | Unmeasured:
    """Return whether members differ from non-members by themselves; intervals are of `level`, or of the audit's."""
    if request.target is None:
        return Unmeasured("no trained model was given: the audit drew members and non-members from one pool")
    rows = np.flatnonzero(request.target.known(len(request.samples)))
    return _blind(request, rows, request.target.is_member(len(request.samples))[rows], level)


def forget_blind(request: AuditRequest, level: float | None = None) -> BlindBaseline | Unmeasured | None:
    """Return the same of what was to be forgotten and of non-members of its classes; None where nothing was."""
    target, samples = request.target, request.samples
    if target is None or target.forget is None:
        return None
    classes, others = request.task.loss.classes(samples.y), target.non_members
    if classes is not None:
        others = others[np.isin(classes[others], classes[target.forget])]
    rows = np.concatenate([target.forget, others])
    if len(others) < FOLDS:
        return Unmeasured("there are too few non-members of the classes that were to be forgotten")
    return _blind(request, rows, np.arange(len(rows)) < len(target.forget), level)


def _blind(
    request: AuditRequest, rows: np.ndarray, member: np.ndarray, level: float | None
) -> BlindBaseline | Unmeasured:
    """Return whether the samples `rows` that `member` [rows] marks differ from the others by themselves."""
    assert request.target is not None  # noqa: S101 for the type checker
    pool = request.samples.take(rows)
    loss, settings = request.task.loss, request.settings
    samples, classes = loss.without_models(pool), loss.classes(pool.y)
    groups = request.target.groups(request.samples)
    together = None if groups is None else where_any_is_shared(groups[rows])
    few = None if together is None else too_few_groups(together, member)
    if few is not None:
        return Unmeasured(few)
    sure = settings.options.level if level is None else level
    return blind_baseline(samples, classes, member, sure, settings.options.seed, together)


def check_confounded(request: AuditRequest) -> None:
    """Raise `UserError` where members or forgotten samples can be told by themselves, and the target refuses that."""
    if request.target is None or not request.target.refuses_confounded(request.task):
        return
    for who, baseline in (("members", blind(request, CERTAIN)), ("what was forgotten", forget_blind(request, CERTAIN))):
        if isinstance(baseline, BlindBaseline) and baseline.differs and isinstance(baseline.auc, Estimate):
            raise UserError(
                f"{who} can be told from non-members without the model: {baseline.method.partition(' on ')[0]} does so "
                f"with an AUC of {baseline.auc.value:.2f} ({baseline.auc.low:.2f} to {baseline.auc.high:.2f}), "
                "a coin has 0.5",
                hint="the two sets differ by themselves, and every number would show that; draw both from one shuffled "
                'source, or pass confounded="report" ([target] confounded = "report") to see the numbers all the same',
            )
