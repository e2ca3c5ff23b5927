"""A folder such as a new user has: a module, a table, arrays, weights, lists of rows, audit files and a policy."""

from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import nn

MODULE = """
import numpy as np
import torch
from torch import nn


class Net(nn.Sequential):
    def __init__(self, features=4, outputs=2):
        super().__init__(nn.Linear(features, 8), nn.ReLU(), nn.Linear(8, outputs))


one = Net()


def load():
    draw = np.random.default_rng(0)
    return draw.normal(size=(60, 4)).astype("float32"), draw.integers(0, 2, 60)


def same():
    return one


def only_inputs():
    return load()[0]


def train(model, samples, generator):
    return model
"""

GOOD = """
[data]
file = "data.npz"

[model]
function = "own_net:Net"
loss = "cross_entropy"

[training]
epochs = 1
learning_rate = 0.01

[audit]
quantizers = ["sign"]
attacks = ["loss_threshold"]
shadows = 4
"""

TABLE = """
[data]
file = "people.csv"
target = "income"
id = "person"
scale = "standard"

[model]
function = "own_net:Net"
arguments = { features = 3 }

[target]
weights = "model.safetensors"
column = "split"
members = "train"
non_members = "test"

[audit]
quantizers = ["sign"]
"""

POLICY = """
[limits]
attack_accuracy_at_most = 0.6
"""


def write(folder: Path) -> None:
    """Fill a folder with all that the audit files above name."""
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(60, 4)), draw.integers(0, 2, 60)
    np.savez(folder / "data.npz", x=x, y=y)
    np.savez(folder / "names.npz", inputs=x, labels=y)
    np.save(folder / "x.npy", x)
    (folder / "own_net.py").write_text(MODULE)
    rows = [
        f"p{row},{20 + row},{100 * row % 37},{row % 7},{'rich' if y[row] else 'poor'},{'train' if row % 2 else 'test'}"
        for row in range(60)
    ]
    (folder / "people.csv").write_text("\n".join(["person,age,height,weight,income,split", *rows]) + "\n")
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2))
    save_file(model.state_dict(), folder / "model.safetensors")
    torch.save(model, folder / "model.pt")
    (folder / "members.txt").write_text("\n".join(map(str, range(1, 60, 2))))
    (folder / "non_members.txt").write_text("\n".join(map(str, range(0, 60, 2))))
    (folder / "good.toml").write_text(GOOD)
    (folder / "table.toml").write_text(TABLE)
    (folder / "policy.toml").write_text(POLICY)
