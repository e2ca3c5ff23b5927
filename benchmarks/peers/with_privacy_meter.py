"""Score with Privacy Meter (MIT), whose attacks.py is found in the folder sys.argv[3] of its repository."""

import sys

import numpy as np
from common import compare

sys.path.insert(0, sys.argv[3])
import attacks


def rmia(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return offline RMIA's scores; the population is the table's own samples, as in ours."""
    probability = (1 / (1 + np.exp(-signal))).T
    references = (len(signal) - 2) // 2
    return attacks.run_rmia(target, probability, probability, member.T, references, 0.3)


def loss(signal: np.ndarray, member: np.ndarray, target: int) -> np.ndarray:
    """Return the scores of the loss attack."""
    return attacks.run_loss(1 / (1 + np.exp(-signal[target])))


compare(rmia_offline=rmia, loss=loss)
