"""What the quantizers of a target look at: inputs, or members and samples that versions may be fitted to."""

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

from quantmis.audit.execution.planning import planted
from quantmis.audit.execution.work import fitting_rows
from quantmis.audit.request import AuditRequest
from quantmis.audit.target.target import Target
from quantmis.errors import require
from quantmis.models.task import inputs
from quantmis.quantizers import Labelled, Quantizer, Supervision
from quantmis.quantizers.base import needs_calibration, needs_supervision
from quantmis.quantizers.supervision import FEWEST
from quantmis.registry import spelling


@dataclass(frozen=True, eq=False)
class Shown:
    """Hold the inputs that methods which look at data are shown, and the supervision of those that look at labels."""

    inputs: Tensor | None
    supervision: Supervision | None

    @staticmethod
    def of(request: AuditRequest, target: Target, rows: Int[np.ndarray, " rows"]) -> "Shown":
        """Return what is shown of the samples of an audit; inputs are those of `rows`."""
        x = inputs(request.samples)
        return Shown(x[torch.from_numpy(rows)] if len(rows) else None, _supervision(request, target, x))

    def to(self, quantizer: Quantizer) -> Tensor | Supervision | None:
        """Return what `quantizer` looks at, None for one that looks at weights alone."""
        if needs_supervision(quantizer):
            return self.supervision
        return self.inputs if needs_calibration(quantizer) else None


def require_free(request: AuditRequest) -> None:
    """Raise `UserError` where a version is to be fitted and no sample is neither a member nor a non-member."""
    if request.target is not None and _fitted_quantizers(request):
        fitted_rows(request, request.target)


def fitted_rows(request: AuditRequest, target: Target) -> Bool[np.ndarray, " samples"]:
    """Return the samples that versions of the target are fitted to, half of those that attacks know nothing of.

    Raises `UserError` where there are too few.
    """
    names, count = _fitted_quantizers(request), len(request.samples)
    together = planted(request).together
    rows = fitting_rows(
        ~target.known(count), request.settings.options.seed, None if together is None else together[:count]
    )
    require(
        rows.sum() >= FEWEST,
        f"{names[0]} is fitted to samples that are neither members nor non-members of the model, and "
        f"{int((~target.known(count)).sum())} are not",
        hint="leave samples out of non_members: half of those are fitted to, and nothing is measured on them",
    )
    return rows


def _fitted_quantizers(request: AuditRequest) -> list[str]:
    return [spelling(each) for each in request.settings.quantizers if needs_supervision(each)]


def _supervision(request: AuditRequest, target: Target, x: Tensor) -> Supervision | None:
    if not _fitted_quantizers(request):
        return None
    y, fitted = request.task.loss.targets(request.samples.y), np.flatnonzero(fitted_rows(request, target))
    members, held_out = (Labelled(x, y, torch.from_numpy(rows)) for rows in (target.members, fitted))
    return Supervision(members, held_out, request.task.loss)
