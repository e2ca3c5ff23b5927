"""What is measured of a model that was made to forget, and what must be so before it is."""

from collections.abc import Mapping

import numpy as np
import torch
from jaxtyping import Float
from torch import nn

from quantmis.audit.request import AuditRequest
from quantmis.audit.target.open_model import OpenModel
from quantmis.audit.target.target import FEWEST, Target
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.models import CausalLM, Task
from quantmis.models.recitation import recited
from quantmis.models.task import inputs
from quantmis.stats.forgetting import has_peers
from quantmis.tables import Forgetting


def forgetting_of(
    target: Target,
    task: Task,
    samples: Samples,
    beside: Mapping[str, Float[np.ndarray, " samples"]],
    model: nn.Module | None,
) -> Forgetting | None:
    """Return what a version's table holds of what was to be forgotten; None where that is not asked.

    `model`: the version, None where its losses alone are known; only language models say texts by heart.
    """
    if target.forget is None:
        return None
    is_forget = np.zeros(len(samples), dtype=bool)
    is_forget[target.forget] = True
    rows = np.flatnonzero(is_forget | target.is_measured(len(samples)))
    texts = inputs(samples)[torch.from_numpy(rows)]
    is_text = model is not None and isinstance(task.loss, CausalLM)
    recitation = recited(model, texts[:, 0] if texts.ndim == 3 else texts) if model is not None and is_text else None
    if recitation is None:
        return Forgetting(is_forget, dict(beside))
    by_heart, log_p = np.zeros(len(samples), dtype=bool), np.full(len(samples), np.nan)
    by_heart[rows], log_p[rows] = recitation.by_heart, recitation.log_probability
    return Forgetting(is_forget, dict(beside), by_heart, log_p)


def require_comparable(name: str, other: OpenModel, target: OpenModel) -> None:
    """Raise `UserError` unless a model can be compared with the one that was made to forget, and is another."""
    require(
        other.kind == target.kind,
        f"{name} is {other.kind}, the target {target.kind}",
        hint="models are compared that were quantized alike: give all of them in full precision",
    )
    weights, own = ({key: value.shape for key, value in each.module.state_dict().items()} for each in (other, target))
    require(
        weights == own,
        f"{name} is another model than the target: its weights are {', '.join(list(weights)[:2])}, ...",
        hint="only models of one architecture are quantized alike",
    )
    require(
        other.given.fingerprint != target.given.fingerprint,
        f"{name} has the very weights of the target, so nothing was forgotten between them",
        hint="before is the model before it was made to forget, retrained one that was trained without the samples",
    )


def require_peers(request: AuditRequest) -> None:
    """Raise `UserError` where too few samples to be forgotten have one of their class that was never seen."""
    target = request.target
    if target is not None and target.forget is not None:
        _require_peers(target, request.task.loss.classes(request.samples.y), len(request.samples))


def _require_peers(target: Target, classes: np.ndarray | None, samples: int) -> None:
    is_forget = np.zeros(samples, dtype=bool)
    is_forget[target.forgotten] = True
    comparable = has_peers(classes, is_forget, target.is_measured(samples))
    missing = [] if classes is None else np.unique(classes[is_forget & ~comparable]).tolist()
    require(
        int(comparable.sum()) >= FEWEST,
        f"forget: {int(comparable.sum())} of {len(target.forgotten)} samples have a non-member of their own class, "
        f"at least {FEWEST} are needed; there is none of {', '.join(map(str, missing[:5]))}",
        hint="what is forgotten looks like what was never seen *of the same class*: add such to the non-members",
    )
