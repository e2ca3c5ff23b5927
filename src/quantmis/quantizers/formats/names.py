"""Whether the tensors of a file are those of a model."""

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from quantmis.errors import require
from quantmis.models.weight_names import wrapped


def require_known(model: nn.Module, layers: Sequence[str], path: str | Path) -> None:
    """Raise `UserError` unless `model` has all of the named layers."""
    own = {name for name, each in model.named_modules() if hasattr(each, "weight")}
    missing = [name for name in layers if name not in own]
    require(
        not missing,
        f"{path}: the model has no layers named {', '.join(missing)}",
        hint=wrapped(missing) or f"say with rename= what they are called; it has: {', '.join(sorted(own))}",
    )


def require_complete(model: nn.Module, stored: set[str], path: str | Path) -> None:
    """Raise `UserError` unless the file holds all numbers of `model`: what is missing would stay untrained."""
    state = model.state_dict()
    shared = {state[name].data_ptr() for name in stored if name in state}
    rest = {name: value for name, value in state.items() if value.is_floating_point() and name not in stored}
    missing = [name for name, value in rest.items() if value.data_ptr() not in shared]
    require(
        not missing,
        f"{path} does not hold {', '.join(missing)} of the model",
        hint="give the architecture that the file was made from (an exporter may have folded BatchNorm away), "
        "or say with rename= what these are called in the file",
    )
