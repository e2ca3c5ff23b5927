"""Several precisions in one model, by layer: the last layer at 8 bits, say, and all others at 2."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import ClassVar

from pydantic import InstanceOf
from torch import Tensor, nn

from quantmis.errors import UserError, require
from quantmis.quantizers import layers as part
from quantmis.quantizers.base import QUANTIZERS, Calibration, Change, Generators, Quantizer
from quantmis.quantizers.codebook import write_layers
from quantmis.quantizers.supervision import Supervision


@QUANTIZERS.add
@dataclass(frozen=True)
class Mixed(Quantizer):
    """Quantize the layers that `layers` names with `at`, and every other layer with `of`.

    `layers` holds shell patterns of layer names, or the words first and last, with commas between them. With
    `at=Identity()` these layers stay in full precision. Each method sees the model as if it quantized all of it.

    >>> from quantmis.quantizers import Sign, Uniform
    >>> model = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
    >>> quantized = Mixed(of=Sign(), layers="first, last", at=Uniform(bits=8)).quantize(model)
    >>> [layer.levels for layer in quantized.layers]
    [256, 2, 256]
    """

    of: InstanceOf[Quantizer]
    at: InstanceOf[Quantizer]
    layers: str = "last"
    name: ClassVar[str] = "mixed"
    levels_per_weight: ClassVar[str] = "of each layer"

    def __post_init__(self):
        require(self.of.has_codes, f"mixed: {self.of.name} does not quantize; the other layers would stay as they are")
        for each in (self.of, self.at):
            require(each.extra is None, f"mixed: {each.name} makes whole models and cannot share one")

    def apply(self, models: list[nn.Module], calibration: list[Tensor] | None, generators: Generators) -> list[Change]:
        """Quantize each model both ways and take from each what belongs to it."""
        return self._combined(models, calibration, generators)

    def apply_supervised(
        self, models: list[nn.Module], shown: list[Supervision], generators: Generators
    ) -> list[Change]:
        """Do as `apply` does, and let a method that looks at labels see them."""
        return self._combined(models, shown, generators)

    def _combined(self, models: list[nn.Module], calibration: Calibration, generators: Generators) -> list[Change]:
        names = matching(self.layers, list(part.weights(models[0])))
        fine = self.at.quantize_many(models, calibration, generators)
        coarse = self.of.quantize_many(models, calibration, generators)
        changes: list[Change] = []
        for model, here, there in zip(models, fine, coarse, strict=True):
            own = {layer.name: layer for layer in here.layers if layer.name in names}
            layers = [own.get(layer.name, layer) for layer in there.layers]
            changes.append(
                write_layers(model, tuple(layer for layer in layers if layer.name in own or layer.name not in names))
            )
        return changes


def matching(patterns: str, names: list[str]) -> set[str]:
    """Return the layer names that shell patterns, or the words first and last, mean; `UserError` where none is.

    >>> sorted(matching("first, head.*", ["a", "b", "head.fc"]))
    ['a', 'head.fc']
    """
    places = {"first": names[0], "last": names[-1]}
    matches: set[str] = set()
    for pattern in (word.strip() for word in patterns.split(",")):
        meant = [name for name in names if fnmatchcase(name, places.get(pattern, pattern))]
        if not meant:
            raise UserError(f"mixed: no layer is named {pattern!r}", hint=f"layers: {', '.join(names)}; first, last")
        matches.update(meant)
    return matches
