"""Membership-inference attacks: pure functions of loss tables, one file each. NumPy, SciPy and scikit-learn only."""

from quantmis.attacks.base import ATTACKS, Attack

__all__ = ["ATTACKS", "Attack"]
