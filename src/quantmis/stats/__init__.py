"""Statistics of loss tables: estimates with their uncertainty, ROC curves with ties, rankings. NumPy and SciPy only."""

from quantmis.stats.bound import Bound, security_upper_bound
from quantmis.stats.compare import Difference, compare, compare_metrics, holm
from quantmis.stats.distortion import distortion
from quantmis.stats.estimate import Estimate, EstimateError, Unmeasured
from quantmis.stats.exposure import Exposed, by_class, most_exposed
from quantmis.stats.groups import require_groups
from quantmis.stats.metrics import Metrics, evaluate
from quantmis.stats.selection import simultaneous, worse_than_best

__all__ = [
    "Bound",
    "Difference",
    "Estimate",
    "EstimateError",
    "Exposed",
    "Metrics",
    "Unmeasured",
    "by_class",
    "compare",
    "compare_metrics",
    "distortion",
    "evaluate",
    "holm",
    "most_exposed",
    "require_groups",
    "security_upper_bound",
    "simultaneous",
    "worse_than_best",
]
