"""Membership-inference attacks: pure functions of loss tables, one file each. NumPy, SciPy and scikit-learn only."""

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.calibrated import Calibrated
from quantmis.attacks.gaussian_plug_in import GaussianPlugIn
from quantmis.attacks.lira import LiRA
from quantmis.attacks.loss_threshold import LossThreshold
from quantmis.attacks.modified_entropy import ModifiedEntropy
from quantmis.attacks.paired_replicates import PairedReplicates
from quantmis.attacks.quantile_regression import QuantileRegression
from quantmis.attacks.rmia import RMIA

__all__ = [
    "ATTACKS",
    "RMIA",
    "Attack",
    "Calibrated",
    "GaussianPlugIn",
    "LiRA",
    "LossThreshold",
    "ModifiedEntropy",
    "PairedReplicates",
    "QuantileRegression",
]
