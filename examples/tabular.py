"""A table of numbers, from data to gate: which version of the classifier may ship."""

from sklearn.datasets import load_breast_cancer
from sklearn.preprocessing import scale
from torch import nn

import quantmis as qm


def model():
    return nn.Sequential(nn.Linear(30, 64), nn.ReLU(), nn.Linear(64, 1))


x, y = load_breast_cancer(return_X_y=True)
task = qm.Task(model, loss="binary_cross_entropy", recipe=qm.Recipe(epochs=30, learning_rate=3e-3))
samples = qm.Samples(scale(x), y, class_names=["malignant", "benign"])
result = qm.audit(task, samples, quantizers=["int8", "sign", "ternary(sparsity=0.9)"], shadows=8, out="tabular")
print(result)
print(result.gate({"limits": {"attack_accuracy_at_most": 0.65, "utility_change_at_least": -0.1}}))
