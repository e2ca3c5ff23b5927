"""The epsilon of differential privacy that the training guarantees, from above."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured


def certified_epsilon(version: ScoredVersion) -> float | Unmeasured | None:
    """Return epsilon, why the guarantee does not hold for this version, or None where there is no guarantee."""
    certified = version.table.certified
    if certified is None:
        return None
    uncovered = "; ".join(certified.uncovered)
    return Unmeasured(f"the guarantee does not cover {uncovered}") if uncovered else certified.epsilon


CERTIFIED_EPSILON = Measure[float](
    name="certified_epsilon",
    title="Certified epsilon",
    sentence="What differentially private training guarantees of every record, whatever an attacker does: the smaller, "
    "the less can be told. Quantizing cannot undo it.",
    kind=float,
    compute=certified_epsilon,
    unit="number",
    span=(0.0, 1e6),
    bounded=True,
    better="lower",
    order=64,
    limits=("at_most",),
    glossary=False,
    absent=Unmeasured("the training guarantees nothing: it was not differentially private, as far as the audit knows"),
)
