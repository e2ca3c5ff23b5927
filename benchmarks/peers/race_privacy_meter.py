"""Train by Privacy Meter's own `train` (MIT), found below the folder sys.argv[3] of its repository.

sys.argv[4]: the processes of its DataLoader, 4 as it ships.
"""

import sys

from racing import RATE, Rows, loader, race
from torch import nn

sys.path.insert(0, sys.argv[3] + "/trainers")
import default_trainer

WORKERS = int(sys.argv[4])


def train(model: nn.Module, rows: Rows, epochs: int) -> nn.Module:
    """Return the trained model."""
    configs = {"epochs": epochs, "optimizer": "Adam", "learning_rate": RATE, "device": "cpu"}
    return default_trainer.train(model, loader(rows, WORKERS), configs)


race(train)
