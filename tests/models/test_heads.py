"""Claims about heads: what they compute, and which are refused."""

import pytest
import torch

from quantmis.errors import UserError
from quantmis.models.heads import Head


@pytest.mark.parametrize("hidden", [None, 16, 512])
def test_a_head_returns_its_outputs(hidden: int | None):
    assert Head(7, 3, hidden)(torch.zeros(5, 7)).shape == (5, 3)


def test_dropout_acts_in_training_only():
    head, x = Head(7, 2, hidden=64, dropout=0.5), torch.ones(1, 7)
    assert not torch.equal(head(x), head(x))
    head.eval()
    assert torch.equal(head(x), head(x))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hidden": 15}, "hidden must lie between 16 and 512, got 15"),
        ({"hidden": 513}, "got 513"),
        ({"dropout": 0.5}, "a linear head has no hidden units"),
        ({"hidden": 64, "dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"outputs": 0}, "expected features and outputs"),
    ],
)
def test_a_head_that_cannot_be_is_refused(arguments: dict[str, float], message: str):
    with pytest.raises(UserError, match=message):
        Head(**{"features": 8, "outputs": 2, **arguments})
