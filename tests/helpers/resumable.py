"""An audit of many small groups, run as a program so that tests can kill it, starve it and start it again."""

import sys
from pathlib import Path

import numpy as np
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.execution.work import Work
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import AuditRequest, audit_request
from quantmis.audit.run import run
from quantmis.models import engine

MODELS = 24
RECIPE = qm.Recipe(epochs=40)


class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


PLAIN = {"shadows": MODELS, "replicates": MODELS, "engine": "stacked", "checkpoint_every": 20}


def requested(
    out: Path | None = None, wrong_labels: int = 0, recipe: object = RECIPE, **changes: object
) -> AuditRequest:
    """Ask for an audit of 300 digits with models in groups of two; `changes` are options."""
    engine.LARGEST_GROUP = 2
    images, labels = load_digits(return_X_y=True)
    labels = labels[:300] + np.eye(1, 300, dtype=int)[0] * wrong_labels
    quantizers = changes.pop("quantizers", ["sign", "uniform(bits=4)"])
    options = AuditOptions.of(**PLAIN | changes)
    task, samples = qm.Task(Small, recipe=recipe), qm.Samples(images[:300] / 16, labels)
    return audit_request(task, samples, None, options, out, quantizers=quantizers, attacks=["loss_threshold"])


def work(**changes: object) -> Work:
    """Return what such an audit computes."""
    request = requested(**changes)
    return plan(request, membership(planted(request), request.settings, None), None)


if __name__ == "__main__":
    run(requested(Path(sys.argv[1])), progress=True)
