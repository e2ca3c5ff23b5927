"""What the quantizers of other libraries share: the library may be missing, and it takes one model at a time."""

import re
from abc import abstractmethod
from collections.abc import Generator
from contextlib import contextmanager

from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers.base import Change, Generators, Quantizer, importable
from quantmis.registry import spelling


class Adapter(Quantizer):
    """Quantize with another library. Concrete ones name the `extra` to install and the `library` that it brings."""

    @abstractmethod
    def convert(self, model: nn.Module, inputs: Tensor | None) -> Change:
        """Return what the library makes of `model`, a copy, and the record read off the library's own tensors."""

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Convert the models one by one; `UserError` where the library is missing or refuses the model."""
        inputs = calibration or [None] * len(models)
        with using_library(self):
            return [self.convert(model, each) for model, each in zip(models, inputs, strict=True)]


@contextmanager
def using_library(quantizer: Quantizer) -> Generator[None]:
    """Turn what a library says against a model, and its absence, into `UserError`."""
    name = spelling(quantizer)
    require_library(name, quantizer.library, quantizer.extra)
    try:
        yield
    except UserError:
        raise
    except Exception as error:  # whatever a library raises against a model: KeyError, AttributeError, its own kinds
        raise UserError(
            f"{name}: {quantizer.library} refuses this model: {type(error).__name__}: {_first_line(error)}",
            hint="other bits, another group size, or a native quantizer may suit its layers",
        ) from error


def require_library(name: str, library: str | None, extra: str | None) -> None:
    """Raise `UserError` with the line that installs it unless the `library` that `name` needs is there."""
    require(
        importable(library), f"{name} needs {library}, which is not installed", hint=f"pip install 'quantmis[{extra}]'"
    )


def _first_line(error: Exception) -> str:
    """Return what an error says first, without the colours that some libraries put into it."""
    return re.sub(r"\x1b\[[0-9;]*m", "", str(error)).partition("\n")[0]


def linear_layers(model: nn.Module) -> dict[str, nn.Linear]:
    """Return the Linear layers that a library may replace by layers of its own, by name.

    Attention multiplies by the weights of its output projection itself.
    """
    call_every_part(model)
    layers = {name: each for name, each in model.named_modules() if isinstance(each, nn.Linear)}
    return {name: each for name, each in layers.items() if type(each).__name__ != "NonDynamicallyQuantizableLinear"}


def call_every_part(model: nn.Module) -> None:
    """Keep the encoder layers of transformers from multiplying by the weights of their parts, which is faster."""
    for each in model.modules():
        if isinstance(each, nn.TransformerEncoderLayer):
            each.activation_relu_or_gelu = 0


def replaced(model: nn.Module, name: str, new: nn.Module) -> nn.Module:
    """Put `new` in the place of the named part of `model`, in place; return the model, which may be `new` itself."""
    if not name:
        return new
    above, _, last = name.rpartition(".")
    setattr(model.get_submodule(above), last, new)
    return model
