"""What is guaranteed of the models of an audit by the way they were trained, and what that does not cover."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool

from quantmis.audit.execution.planning import planted
from quantmis.audit.request import AuditRequest
from quantmis.data.membership import members_each
from quantmis.errors import require
from quantmis.models import Recipe
from quantmis.models.dp import accountant
from quantmis.models.private import mechanism
from quantmis.quantizers.base import learns_from_members, needs_calibration
from quantmis.registry import spelling
from quantmis.results import CertificateResult
from quantmis.tables import LossTable
from quantmis.tables.certified import Certified

RECIPE, DECLARED = "dp-sgd recipe", "declared"
ELSEWHERE = "how this version was quantized: it was made elsewhere, on data that the audit does not know"


def check_certificate(request: AuditRequest) -> None:
    """Raise `UserError` where a guarantee was declared of a training that is not the one that will be carried out.

    And where a recipe asks for a guarantee that nothing is there to count.
    """
    trains_by_default = isinstance(request.task.recipe, Recipe) and request.settings.models
    require(
        request.task.certificate is None or not trains_by_default,
        "certificate: it is declared of a training of your own, and models are to be trained by a recipe of quantmis",
        hint="recipe=train, the function that the certificate is of, or an audit of the model as it is",
    )
    if isinstance(request.task.recipe, Recipe) and request.task.recipe.dp is not None:
        accountant()


def certificate_of(request: AuditRequest, members: int) -> CertificateResult | None:
    """Return what the training on so many members guarantees; None where it guarantees nothing."""
    declared, recipe = request.task.certificate, request.task.recipe
    uncovered = _uncovered(request)
    if declared is not None:
        return CertificateResult(
            epsilon=declared.epsilon,
            delta=declared.delta,
            accountant=declared.by,
            source=DECLARED,
            uncovered=uncovered,
        )
    if not isinstance(recipe, Recipe) or recipe.dp is None:
        return None
    counted, dp = mechanism(recipe, members), recipe.dp
    return CertificateResult(
        epsilon=counted.epsilon(dp.delta) if dp.epsilon is None else dp.epsilon,
        delta=dp.delta,
        accountant=accountant(),
        source=RECIPE,
        noise_multiplier=counted.noise_multiplier,
        clip_norm=dp.clip_norm,
        sampling_rate=counted.rate,
        steps=counted.steps,
        uncovered=uncovered,
    )


@dataclass(frozen=True)
class Certificates:
    """Hold what is guaranteed of the models that the audit trains, and of the very model that was given."""

    algorithm: CertificateResult | None = None
    this_model: CertificateResult | None = None

    @property
    def leading(self) -> CertificateResult | None:
        """The one that the document is about."""
        return self.algorithm or self.this_model


def certificates(request: AuditRequest, member: Bool[np.ndarray, "models samples"]) -> Certificates:
    """Return what is guaranteed by training on as many members as the models, and the target, were trained on."""
    if not request.task.is_certified:
        return Certificates()
    each = members_each(member, planted(request).repeats) if len(member) else 0
    own = None if request.target is None else len(request.target.members)
    return Certificates(
        certificate_of(request, each) if each else None, None if own is None else certificate_of(request, own)
    )


def certified(
    tables: Sequence[LossTable], request: AuditRequest, certificate: CertificateResult | None
) -> list[LossTable]:
    """Return tables with what is guaranteed of each version, by post-processing, and what that does not cover."""
    if certificate is None:
        return list(tables)
    return [
        replace(
            table,
            certified=Certified(
                certificate.epsilon, certificate.delta, (*certificate.uncovered, *_of_version(table, request))
            ),
        )
        for table in tables
    ]


def _uncovered(request: AuditRequest) -> tuple[str, ...]:
    """Return what saw members of every version besides the training."""
    repeated = ["what stands several times in a training set"] if _repeats(request) else []
    grouped = [] if request.samples.groups is None else ["the other records of the group that a record belongs to"]
    return (*request.declared.fitted, *repeated, *grouped)


def _repeats(request: AuditRequest) -> bool:
    return bool(request.settings.options.canaries) and request.task.loss.name == "causal_lm"


def _of_version(table: LossTable, request: AuditRequest) -> tuple[str, ...]:
    """Return what saw members of one version besides the training: its calibration, where that is not known too."""
    if request.target is not None and table.about == "target" and table.name in request.target.versions:
        return (ELSEWHERE,)
    names = {table.name, *([table.origin["like"]] if table.origin.get("like") else [])}
    if names & {spelling(each) for each in request.settings.quantizers if learns_from_members(each)}:
        return (f"the fitting of {table.name}, which is shown members",)
    if request.settings.options.calibrate_on != "members":
        return ()
    calibrated = {spelling(each) for each in request.settings.quantizers if needs_calibration(each)}
    return (f"the calibration of {table.name} on members",) if names & calibrated else ()
