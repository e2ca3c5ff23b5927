"""Membership-inference attacks: pure functions of loss tables, one file each. NumPy, SciPy and scikit-learn only."""

from quantmis.attacks.base import ATTACKS, Attack
from quantmis.attacks.calibrated import Calibrated
from quantmis.attacks.con_recall import ConReCaLL
from quantmis.attacks.dc_pdd import DCPDD
from quantmis.attacks.gaussian_plug_in import GaussianPlugIn
from quantmis.attacks.lead import lead_attack
from quantmis.attacks.lira import LiRA
from quantmis.attacks.loss_threshold import LossThreshold
from quantmis.attacks.lowercase_ratio import LowercaseRatio
from quantmis.attacks.min_k import MinK
from quantmis.attacks.min_k_plus_plus import MinKPlusPlus
from quantmis.attacks.modified_entropy import ModifiedEntropy
from quantmis.attacks.neighbourhood import Neighbourhood
from quantmis.attacks.paired_replicates import PairedReplicates
from quantmis.attacks.quantile_regression import QuantileRegression
from quantmis.attacks.recall import ReCaLL
from quantmis.attacks.reference_difference import ReferenceDifference
from quantmis.attacks.rmia import RMIA
from quantmis.attacks.zlib_ratio import ZlibRatio

__all__ = [
    "ATTACKS",
    "DCPDD",
    "RMIA",
    "Attack",
    "Calibrated",
    "ConReCaLL",
    "GaussianPlugIn",
    "LiRA",
    "LossThreshold",
    "LowercaseRatio",
    "MinK",
    "MinKPlusPlus",
    "ModifiedEntropy",
    "Neighbourhood",
    "PairedReplicates",
    "QuantileRegression",
    "ReCaLL",
    "ReferenceDifference",
    "ZlibRatio",
    "lead_attack",
]
