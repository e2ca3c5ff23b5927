"""Models that are made anew each time: one that shares weights with an earlier one would not be trained apart."""

import weakref

from torch import nn

from quantmis.errors import require

MAKE_NEW = "build the model inside of the function: def make(): return MyModel(...); or return copy.deepcopy(model)"
_built = weakref.WeakSet[nn.Module]()
"""The modules with weights of every model that this process was given and that still exist."""


def require_new(module: nn.Module) -> None:
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
