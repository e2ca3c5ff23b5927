"""What (epsilon, delta)-differential privacy allows an attack (Kairouz, Oh and Viswanath 2015, arXiv 1311.0776).

Whatever is made of the output of a private training, by any quantizer and any attacker, decides about a record with
TPR <= e^epsilon FPR + delta and, told the other way round, 1 - FPR <= e^epsilon (1 - TPR) + delta. The largest
advantage within both is (e^epsilon - 1 + 2 delta) / (e^epsilon + 1) (Humphries et al. 2023, arXiv 2010.12112).
"""

import math

from quantmis.errors import require


def largest_advantage(epsilon: float, delta: float) -> float:
    """Return the largest TPR - FPR that (epsilon, delta) allows, at most 1; `UserError` for what is no guarantee.

    >>> largest_advantage(0.0, 0.0), round(largest_advantage(1.0, 0.0), 4), largest_advantage(1000.0, 0.0)
    (0.0, 0.4621, 1.0)
    """
    require_guarantee(epsilon, delta)
    shrunk = math.exp(-epsilon)  # e^epsilon itself may be more than a float holds
    return min((1 - shrunk + 2 * delta * shrunk) / (1 + shrunk), 1.0)


def largest_tpr(fpr: float, epsilon: float, delta: float) -> float:
    """Return the largest share of members found that (epsilon, delta) allows at a false positive rate, at most 1.

    >>> round(largest_tpr(0.01, 1.0, 0.0), 4), largest_tpr(0.9, 1.0, 0.0) < 1.0
    (0.0272, True)
    """
    require_guarantee(epsilon, delta)
    require(0 <= fpr <= 1, f"fpr: expected a share from 0 to 1, got {fpr}")
    grown = math.exp(min(epsilon, 700.0))
    return max(0.0, min(grown * fpr + delta, 1 - (1 - fpr - delta) / grown, 1.0))


def require_guarantee(epsilon: float, delta: float) -> None:
    """Raise `UserError` unless epsilon is a finite number of at least 0, and delta a probability below 1."""
    require(0 <= epsilon < math.inf, f"epsilon: expected a number of at least 0, got {epsilon}")
    require(0 <= delta < 1, f"delta: expected a probability below 1, got {delta}")
