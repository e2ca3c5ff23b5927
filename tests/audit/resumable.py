"""An audit of many small groups, run as a program so that tests can kill it, starve it and start it again."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm
from quantmis.audit.execution.planning import AuditRequest, membership, plan, planted
from quantmis.audit.run import run
from quantmis.audit.options import Models, Settings, attacks_of, quantizers_of
from quantmis.audit.execution.work import Work
from quantmis.models import engine

MODELS = 24
RECIPE = qm.Recipe(epochs=40)


class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


def assignment(
    out: Path | None = None, wrong_labels: int = 0, recipe: object = RECIPE, **changes: object
) -> AuditRequest:
    """Ask for an audit of 300 digits with models in groups of two; `changes` are settings."""
    engine.LARGEST_GROUP = 2
    images, labels = load_digits(return_X_y=True)
    labels = labels[:300] + np.eye(1, 300, dtype=int)[0] * wrong_labels
    plain = {
        "shadows": MODELS,
        "replicates": MODELS,
        "held_out": 1 / 3,
        "seed": 0,
        "level": 0.95,
        "engine": "stacked",
        "executor": "local",
        "checkpoint_every": 20,
        "keep_weights": False,
        "canaries": 0,
    }
    names = changes.pop("quantizers", ["sign", "uniform(bits=4)"])
    attacks = attacks_of(["loss_threshold"], Models(2, 2), qm.Task(Small).loss)
    settings = Settings(quantizers=quantizers_of(names), attacks=attacks, **plain | changes)
    return AuditRequest(qm.Task(Small, recipe=recipe), qm.Samples(images[:300] / 16, labels), settings, out, "")


def work(**changes: object) -> Work:
    """Return what such an audit computes."""
    asked = assignment(**changes)
    return plan(asked, membership(planted(asked), asked.settings, None), None)


if __name__ == "__main__":
    run(assignment(Path(sys.argv[1])), progress=True)
