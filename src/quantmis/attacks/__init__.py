"""Membership-inference attacks: pure functions of loss tables, one file each. NumPy, SciPy and scikit-learn only."""

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.lira import LiRA
from quantmis.attacks.loss_threshold import LossThreshold
from quantmis.attacks.paired_replicates import PairedReplicates

__all__ = ["ATTACKS", "Attack", "LiRA", "LossThreshold", "PairedReplicates"]
