"""Statistics of loss tables: estimates with their uncertainty, ROC curves with ties, rankings. NumPy and SciPy only."""

from quantmis.stats.bound import Bound, security_upper_bound
from quantmis.stats.compare import Difference, compare, holm
from quantmis.stats.distortion import distortion
from quantmis.stats.estimate import Estimate, EstimateError, Unmeasured
from quantmis.stats.exposure import Exposed, by_class, most_exposed
from quantmis.stats.metrics import Metrics, evaluate

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
    "distortion",
    "evaluate",
    "holm",
    "most_exposed",
    "security_upper_bound",
]
