"""What quantizing changed of how often the strongest attack is right."""

from quantmis.measures.measure import Measure
from quantmis.measures.scored import ScoredVersion
from quantmis.stats import Estimate, Unmeasured
from quantmis.stats.cluster import pair_id
from quantmis.stats.compare import difference

ITSELF = "this is full precision itself"


def attack_accuracy_change(version: ScoredVersion) -> Estimate | Unmeasured:
    """Return how much more often the strongest attack is right than against full precision, paired."""
    if version.is_full_precision:
        return Unmeasured(ITSELF)
    after, before = version.bound.right, version.full_precision.bound.right
    if after is None or before is None:
        return Unmeasured("the upper bound on security was not measured")
    table, level = version.table, version.precision.level
    return difference(after, before, pair_id(table.audited.member), level, table.audited_groups)[0]


ATTACK_ACCURACY_CHANGE = Measure[Estimate](
    name="attack_accuracy_change",
    title="Against full precision, points",
    sentence="How much more often the strongest attack is right than against full precision, compared on the same "
    "models and samples; below 0 where quantizing protects.",
    kind=Estimate,
    compute=attack_accuracy_change,
    unit="share difference",
    span=(-1.0, 1.0),
    better="lower",
    shown=frozenset({"ranking", "this model"}),
    order=70,
    limits=("at_most",),
)
