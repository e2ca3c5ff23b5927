"""Whether members differ from non-members by themselves: what a classifier that never sees the model makes of them."""

import numpy as np

from quantmis.audit.execution.progress import SILENT, Stages
from quantmis.audit.request import AuditRequest
from quantmis.audit.target.blind_baseline import FOLDS, TRIED, BlindScores, blind_scores, too_few_groups
from quantmis.errors import UserError
from quantmis.evidence import where_any_is_shared
from quantmis.results import BlindBaseline
from quantmis.stats import Estimate, Unmeasured

MEMBERS, FORGOTTEN = "members", "what was forgotten"

CERTAIN = 0.999
"""The level at which sets that differ by themselves are refused: one sound audit in a thousand is."""


def blind(request: AuditRequest, level: float | None = None, stages: Stages = SILENT) -> BlindBaseline | Unmeasured:
    """Return whether members differ from non-members by themselves; intervals are of `level`, or of the audit's."""
    if request.target is None:
        return Unmeasured("no trained model was given: the audit drew members and non-members from one pool")
    rows = np.flatnonzero(request.target.known(len(request.samples)))
    return _blind(request, rows, request.target.is_member(len(request.samples))[rows], level, MEMBERS, stages)


def forget_blind(
    request: AuditRequest, level: float | None = None, stages: Stages = SILENT
) -> BlindBaseline | Unmeasured | None:
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
    return _blind(request, rows, np.arange(len(rows)) < len(target.forget), level, FORGOTTEN, stages)


def _blind(
    request: AuditRequest, rows: np.ndarray, member: np.ndarray, level: float | None, who: str, stages: Stages
) -> BlindBaseline | Unmeasured:
    """Return whether the samples `rows` that `member` [rows] marks differ from the others by themselves."""
    scores = request.blind_scores.get(who) or _scores(request, rows, member, who, stages)
    request.blind_scores[who] = scores
    return scores if isinstance(scores, Unmeasured) else scores.baseline(level or request.settings.options.level)


def _scores(
    request: AuditRequest, rows: np.ndarray, member: np.ndarray, who: str, stages: Stages
) -> BlindScores | Unmeasured:
    """Return what classifiers that never see the model make of samples; fitted once, whatever is asked of it."""
    assert request.target is not None  # noqa: S101 for the type checker
    pool, loss = request.samples.take(rows), request.task.loss
    groups = request.target.groups(request.samples)
    together = None if groups is None else where_any_is_shared(groups[rows])
    few = None if together is None else too_few_groups(together, member)
    if few is not None:
        return Unmeasured(few)
    tick = stages.stage(f"{who}, blind", TRIED)
    seed = request.settings.options.seed
    return blind_scores(loss.without_models(pool), loss.classes(pool.y), member, seed, together, tick)


def check_confounded(request: AuditRequest, stages: Stages = SILENT) -> None:
    """Raise `UserError` where members or forgotten samples can be told by themselves, and the target refuses that."""
    if request.target is None or not request.target.refuses_confounded(request.task):
        return
    baselines = {MEMBERS: blind(request, CERTAIN, stages), FORGOTTEN: forget_blind(request, CERTAIN, stages)}
    for who, baseline in baselines.items():
        if isinstance(baseline, BlindBaseline) and baseline.differs and isinstance(baseline.auc, Estimate):
            raise UserError(
                f"{who} can be told from non-members without the model: {baseline.method.partition(' on ')[0]} does so "
                f"with an AUC of {baseline.auc.value:.2f} ({baseline.auc.low:.2f} to {baseline.auc.high:.2f}), "
                "a coin has 0.5",
                hint="the two sets differ by themselves, and every number would show that; draw both from one shuffled "
                'source, or pass confounded="report" ([target] confounded = "report") to see the numbers all the same',
            )
