"""The theory of membership inference security for quantized models. NumPy and SciPy only.

Read in this order: `candidates` (the table and its gaps), `rates` (how fast the best attack fails), `security` and
`flux` (how often it succeeds), `orders` (which version is safer), `indicator` (the rate of models that training
reached), `worlds` (where the truth is known).
"""

from quantmis.theory.indicator import indicator, indicator_draws
from quantmis.theory.orders import SecurityOrder, SecurityRanking, security_ranking
from quantmis.theory.rates import (
    asymptotic_bound,
    asymptotic_security,
    chernoff_rate,
    gaussian_rate,
    two_gaussian_advantage,
)
from quantmis.theory.security import advantage, security
from quantmis.theory.worlds import World, codebook, exact_security, world

__all__ = [
    "SecurityOrder",
    "SecurityRanking",
    "World",
    "advantage",
    "asymptotic_bound",
    "asymptotic_security",
    "chernoff_rate",
    "codebook",
    "exact_security",
    "gaussian_rate",
    "indicator",
    "indicator_draws",
    "security",
    "security_ranking",
    "two_gaussian_advantage",
    "world",
]
