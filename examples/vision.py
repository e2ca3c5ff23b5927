"""A convolutional network that is trained already, as it is, beside a version made elsewhere and two of our own."""

import copy

import torch
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm


def network():
    features = [nn.Conv2d(1, 16, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    return nn.Sequential(*features, nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 10))


images, labels = load_digits(return_X_y=True)
x, y = torch.tensor(images / 16).float().reshape(-1, 1, 8, 8), torch.tensor(labels)

torch.manual_seed(0)
members, others = torch.randperm(len(x))[:500].reshape(2, 250)
model = network()
optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
for _ in range(60):
    optimizer.zero_grad()
    nn.functional.cross_entropy(model(x[members]), y[members]).backward()
    optimizer.step()

made_elsewhere = {"bfloat16": copy.deepcopy(model).bfloat16()}
target = qm.Target(model, members, others, versions=made_elsewhere)
result = qm.audit(qm.Task(network), qm.Samples(x, y), target=target, quantizers=["int8", "sign"], out="vision")
print(result)
print(result.gate({"version": "bfloat16", "limits": {"attack_accuracy_at_most": 0.65, "utility_at_least": 0.8}}))
