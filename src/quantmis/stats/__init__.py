"""Statistics of loss tables: estimates with their uncertainty, ROC curves with ties, rankings. NumPy and SciPy only."""

from quantmis.stats.estimate import Estimate, EstimateError, Unmeasured

__all__ = ["Estimate", "EstimateError", "Unmeasured"]
