"""A small search, run as a program so that tests can interrupt it and start it again."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm
from quantmis.audit.options import AuditOptions
from quantmis.audit.search_options import SearchOptions
from quantmis.search.request import SearchRequest
from quantmis.search.running import searched

RECIPE = qm.Recipe(epochs=8, learning_rate=5e-3)
SPACE = {"families": ["uniform", "ternary", "sign"], "bits": [2, 3, 4], "granularity": ["tensor", "channel"]}
SHORT = {"trainings": 2, "candidates": 14, "confirm": 2, "loss_at_most": 0.2}
AUDIT = {"depth": "indicator", "replicates": 2, "quantizers": ["uniform(bits=4)", "sign"], "engine": "stacked"}


class Small(nn.Sequential):
    def __init__(self):
        super().__init__(nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, 10))


def digits(samples: int = 600, repeated: int = 0) -> qm.Samples:
    """Return digits, the first of which stand there again at the end."""
    images, labels = load_digits(return_X_y=True)
    rows = np.r_[:samples, :repeated]
    return qm.Samples(images[rows] / 16, labels[rows])


def requested(out: Path, **changes: Any) -> SearchRequest:
    """Ask for a small search; `changes` are options of a search, `audit` those of the audit at its end."""
    audit = {**AUDIT, **changes.pop("audit", {})}
    beside = {name: changes.pop(name, None) for name in ("target", "policy")}
    task = qm.Task(Small, recipe=changes.pop("recipe", RECIPE))
    samples = changes.pop("samples", None) or digits()
    options = SearchOptions.of(**SPACE | SHORT | changes)
    return SearchRequest(task, samples, beside["target"], AuditOptions.of(**audit), options, beside["policy"], out)


if __name__ == "__main__":
    searched(requested(Path(sys.argv[1]), candidates=int(sys.argv[2])), progress=True)
