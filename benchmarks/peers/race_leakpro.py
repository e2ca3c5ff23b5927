"""Train by the handler that LeakPro (Apache-2.0) takes where a user gives none of their own."""

from common import without
from racing import RATE, Rows, loader, race
from torch import nn, optim

without("torchvision", "torchvision.transforms", "torchvision.utils", "torchvision.models", "torchvision.datasets")
without("ts2vec", "umap", "transformers", "sentence_transformers", "numba", "torchmetrics", "kornia", "ignite")
from leakpro.webapp.backend.worker import _build_default_handler  # noqa: E402

HANDLER = _build_default_handler()


def train(model: nn.Module, rows: Rows, epochs: int) -> nn.Module:
    """Return the trained model; the handler's `train` reads nothing of the handler."""
    optimizer = optim.Adam(model.parameters(), lr=RATE)
    return HANDLER.train(None, loader(rows), model, nn.CrossEntropyLoss(), optimizer, epochs).model


race(train)
