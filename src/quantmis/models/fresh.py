"""Models that are made anew each time: one that shares weights with an earlier one would not be trained apart."""

import weakref
from typing import Any

from torch import nn
from torch.nn.parameter import is_lazy

from quantmis.errors import UserError, require

MAKE_NEW = "build the model inside of the function: def make(): return MyModel(...); or return copy.deepcopy(model)"
_built = weakref.WeakSet[nn.Module]()
"""The modules with weights of every model that this process was given and that still exist."""


def require_fresh_module(module: Any) -> None:
    """Raise `UserError` unless what a function made is a module whose weights have sizes and are its own."""
    if not isinstance(module, nn.Module):
        hint = "the function ends with: return MyModel(...)"
        raise UserError(f"model: expected it to return a torch.nn.Module, got {a_kind(module)}", hint=hint)
    lazy = [name for name, value in [*module.named_parameters(), *module.named_buffers()] if is_lazy(value)]
    require(
        not lazy,
        f"model: {', '.join(lazy[:1])} has no size before the first samples, as in lazy layers",
        hint="give the sizes: nn.Linear(64, 10) for nn.LazyLinear(10); or call the model once in the function "
        "that makes it",
    )
    _require_new(module)


def _require_new(module: nn.Module) -> None:
    """Raise `UserError` where a part of `module` that has weights was part of a model before."""
    parts = {name: part for name, part in module.named_modules() if _weights(part)}
    again = [f"{name}.{_weights(part)[0]}".lstrip(".") for name, part in parts.items() if part in _built]
    require(
        not again,
        f"model: it returns the same weights again, so models would not be trained apart: {', '.join(again[:1])} is "
        "shared with a model that it returned before",
        hint=MAKE_NEW,
    )
    _built.update(parts.values())


def _weights(part: nn.Module) -> list[str]:
    """Return the names of the tensors that a module has itself, not in its parts."""
    return [name for name, _ in [*part.named_parameters(recurse=False), *part.named_buffers(recurse=False)]]


def a_kind(thing: object) -> str:
    """Return what a thing is called in an error."""
    return "a model" if isinstance(thing, nn.Module) else type(thing).__name__
