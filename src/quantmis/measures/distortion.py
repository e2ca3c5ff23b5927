"""How far quantizing changed the order of losses, on samples that a model was not trained on."""

from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Unmeasured
from quantmis.stats import distortion as distortion_of
from quantmis.stats.distortion import MOST_MODELS
from quantmis.tables import FULL_PRECISION, LossTable

NO_FULL_PRECISION = "compares with full precision, which this audit does not have"
FIRST = slice(MOST_MODELS)


def distortion(version: ScoredVersion) -> float | Unmeasured:
    """Return 1 - Spearman's correlation of losses with full precision, on samples that a model was not trained on."""
    table, reference = version.table, version.full_precision.table
    if reference.name != FULL_PRECISION:
        return Unmeasured(NO_FULL_PRECISION)
    try:
        return distortion_of(*(_used(each).rows(FIRST) for each in (reference, table)))
    except UserError as error:  # hardly any sample that a model was not trained on
        return Unmeasured(str(error))


def _used(table: LossTable) -> Evidence:
    """Return the columns that are no canaries and that no version was fitted to."""
    return table.evidence.columns(table.is_audited | table.is_held_out)


DISTORTION = Measure[float](
    name="distortion",
    title="Distortion",
    sentence="How far quantizing changed the order of the losses of records that a model was not trained on: 0 not at "
    "all, 1 beyond recognition. It knows nothing of members, and orders versions that nothing else tells apart.",
    kind=float,
    compute=distortion,
    unit="number",
    span=(0.0, 1.0),
    bounded=True,
    shown=frozenset({"ranking", "this model"}),
    order=60,
    limits=("at_least",),
)
