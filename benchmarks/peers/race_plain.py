"""Train as every tutorial does: a DataLoader and a loop."""

from racing import RATE, Rows, loader, race
from torch import nn, optim


def train(model: nn.Module, rows: Rows, epochs: int) -> nn.Module:
    """Return the model after so many passes over the rows."""
    optimizer, batches = optim.Adam(model.parameters(), lr=RATE), loader(rows)
    for _ in range(epochs):
        for x, y in batches:
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x), y).backward()
            optimizer.step()
    return model


race(train)
