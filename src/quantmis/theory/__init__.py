"""The theory of membership inference security for quantized models. NumPy and SciPy only.

Read in this order: `candidates` (the table and its gaps), `rates` (how fast the best attack fails), `indicator` (the
rate of models that training reached).
"""

from quantmis.theory.indicator import indicator, indicator_draws
from quantmis.theory.rates import asymptotic_security, gaussian_rate

__all__ = ["asymptotic_security", "gaussian_rate", "indicator", "indicator_draws"]
