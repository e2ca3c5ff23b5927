"""A model that somebody is about to ship, trained here in a second, and the files that they would have of it."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm

MEMBERS, OTHERS = np.arange(300), np.arange(300, 600)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def samples(wrong_labels: bool = False) -> qm.Samples:
    """Return 600 digits; with wrong labels, which a model can only remember."""
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(labels))[:600]
    drawn = np.random.default_rng(1).integers(0, 10, 600)
    return qm.Samples(images[order] / 16, drawn if wrong_labels else labels[order])


def trained(data: qm.Samples, epochs: int = 60) -> nn.Module:
    """Return a model trained on the members, by a loop of somebody's own."""
    torch.manual_seed(0)
    model, x, y = net(), torch.from_numpy(data.x), torch.from_numpy(data.y)
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(epochs):
        for batch in torch.from_numpy(MEMBERS).split(32):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
    return model


def files(folder: Path) -> None:
    """Write what an engineer has: a module, a CSV with a column that says who was trained on, and weights."""
    data = samples()
    (folder / "shipped_model.py").write_text(
        "from torch import nn\n\n"
        "def net():\n    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))\n"
    )
    rows = [
        ",".join([f"p{row}", "train" if row < 300 else "test", str(data.y[row]), *map(str, data.x[row])])
        for row in range(len(data))
    ]
    head = ",".join(["person", "split", "digit", *(f"pixel{each}" for each in range(64))])
    (folder / "digits.csv").write_text("\n".join([head, *rows]) + "\n")
    save_file(trained(data).state_dict(), folder / "model.safetensors")
    (folder / "audit.toml").write_text(FILE)


FILE = """
[data]
file = "digits.csv"
target = "digit"
id = "person"

[model]
function = "shipped_model:net"

[target]
weights = "model.safetensors"
column = "split"
members = "train"
non_members = "test"

[audit]
quantizers = ["uniform(bits=8)", "ternary(sparsity=0.9)"]
"""
