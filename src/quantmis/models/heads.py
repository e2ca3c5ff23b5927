"""Heads: the small networks that are trained on embeddings or fingerprints while what made those stays as it is."""

from torch import nn

from quantmis.errors import require

NARROWEST, WIDEST = 16, 512


class Head(nn.Sequential):
    """Predict `outputs` numbers from `features`: linear, or, with `hidden` units, Linear-ReLU-Dropout-Linear.

    `outputs` is the number of classes for cross_entropy and 1 for mse. `hidden` lies between 16 and 512, None is a
    linear head. `dropout` is the fraction of hidden units that training leaves out. Raises `UserError` out of range.

    >>> Head(1024, outputs=2, hidden=64)
    Head(
      (0): Linear(in_features=1024, out_features=64, bias=True)
      (1): ReLU()
      (2): Linear(in_features=64, out_features=2, bias=True)
    )
    """

    def __init__(self, features: int, outputs: int, hidden: int | None = None, dropout: float = 0.0):
        require(features > 0 and outputs > 0, f"head: expected features and outputs, got {features} and {outputs}")
        require(0 <= dropout < 1, f"head: dropout must be at least 0 and below 1, got {dropout}")
        if hidden is None:
            require(dropout == 0, "head: a linear head has no hidden units to leave out", hint="give it hidden units")
            super().__init__(nn.Linear(features, outputs))
            return
        good = NARROWEST <= hidden <= WIDEST
        require(good, f"head: hidden must lie between {NARROWEST} and {WIDEST}, got {hidden}")
        inner = [nn.ReLU(), nn.Dropout(dropout)] if dropout else [nn.ReLU()]
        super().__init__(nn.Linear(features, hidden), *inner, nn.Linear(hidden, outputs))
