"""Membership inference security (MIS) by boundary flux, for a training that finds the best model that it reached."""

from quantmis.measures.indicator import of_candidates
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.theory import security as security_by_flux

DRAWS = 4000
"""Few held-out samples, not few draws, limit what an audit knows of security."""


def security(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return one minus the advantage of the best attack there could be, as the theory computes it."""
    return of_candidates(version, lambda: _by_flux(version))


def _by_flux(version: ScoredVersion) -> Estimate:
    precision, members = version.precision, int(version.table.evidence.member[0].sum())
    losses = version.table.candidates(precision.replicates).losses
    return security_by_flux(losses, members, draws=DRAWS, seed=precision.seed, level=precision.level)


SECURITY = Measure[Estimate](
    name="security",
    title="MIS by theory",
    sentence="Membership inference security (MIS) is a defined quantity, no promise: one minus the advantage of the "
    "best attack there could ever be. By theory it is computed under an assumption: that training finds the best of "
    "the models that it reached.",
    kind=Estimate,
    compute=security,
    unit="number",
    span=(0.0, 1.0),
    bounded=True,
    better="higher",
    shown=frozenset({"theory"}),
    order=120,
)
