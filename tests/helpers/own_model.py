"""A small audit file, and the module of a user that it names, for tests that run it and tests that break it."""

MODULE = """
from torch import nn
import numpy as np

def net(width=8):
    return nn.Sequential(nn.Linear(6, width), nn.ReLU(), nn.Linear(width, 2))

def load():
    draw = np.random.default_rng(0)
    return draw.normal(size=(120, 6)), draw.integers(0, 2, 120)

def nothing():
    return None

def train(model, samples, generator):
    return model
"""

GOOD = """
[data]
file = "data.npz"

[model]
function = "own_model_of_tests:net"
arguments = { width = 4 }

[training]
epochs = 2

[audit]
quantizers = ["sign"]
shadows = 8
"""
