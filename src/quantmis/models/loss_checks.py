"""What the outputs of a model and the targets of samples must be for a loss to compare them."""

import numpy as np

from quantmis.errors import UserError, require


def require_outputs(name: str, outputs: tuple[int, ...], samples: int, what: str, width: int | None = None) -> None:
    """Raise `UserError` unless a model returned [samples, width], any width where it is None."""
    good = len(outputs) == 2 and outputs[0] == samples and width in (None, outputs[1])
    require(
        good,
        f"{name} expects the model to return [{samples}, {what}] for {samples} samples, it returned {list(outputs)}",
        hint=_shape_hint(outputs, width),
    )


def _shape_hint(outputs: tuple[int, ...], width: int | None) -> str:
    """Say what to do about outputs of another shape than a loss takes."""
    if len(outputs) == 1:
        return "keep the outputs' own dimension: leave out squeeze(-1)"
    last = "the model's last layer decides its width; flatten what comes before it"
    is_wide = width == 1 and len(outputs) == 2 and outputs[1] > 1
    return f'of an output for each class: loss = "cross_entropy"; {last}' if is_wide else last


def label_hint(y: np.ndarray) -> str:
    """Say what to do with targets `y` that are no whole numbers, one for each sample."""
    if y.ndim == 2 and y.shape[1] == 1:
        return "a column is not a list: y.ravel()"
    if y.ndim == 1 and (y == np.round(y)).all():
        return "whole numbers as floats: y.astype(int)"
    if y.ndim == 2 and np.isin(y, (0, 1)).all() and (y.sum(axis=1) == 1).all():
        return "rows with a single 1 are labels written out: y.argmax(axis=1)"
    return (
        "soft labels have no single class whose probability a signal could read; give the hard labels, "
        'or use loss="mse" for real numbers and loss="multi_label" for rows of 0 and 1'
    )


def require_labels(y: np.ndarray, classes: int) -> None:
    """Raise `UserError` unless labels are from 0 to the number of classes less one."""
    if classes < 2:
        hint = 'of a single output for two classes: loss = "binary_cross_entropy"'
        raise UserError(f"cross_entropy needs at least 2 outputs, the model has {classes}", hint=hint)
    low, high = int(y.min()), int(y.max())
    require(
        low >= 0 and high < classes,
        f"labels run from {low} to {high}, the model's {classes} outputs mean 0 to {classes - 1}",
        hint=f"number the labels from 0, or give the model {high + 1} outputs",
    )
