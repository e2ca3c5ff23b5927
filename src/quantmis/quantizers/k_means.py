"""Levels learned by k-means, layer by layer (Han et al. 2016, Deep Compression, arXiv:1510.00149, section 3)."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from quantmis.quantizers.base import QUANTIZERS, require_range
from quantmis.quantizers.codebook import Codebook, Codes

ITERATIONS = 50


@QUANTIZERS.add
@dataclass(frozen=True)
class KMeans(Codebook):
    """Give each layer its own 2^bits levels, those of the least squared error that Lloyd's iterations reach.

    They start evenly spaced, as in the paper, which keeps the rare large weights, and once more at the quantiles; the
    better end is kept, and nothing is random. Levels are recorded as fractions of the layer's largest magnitude.

    >>> coded = KMeans(bits=1).encode(torch.tensor([[-2.0, -1.0, 3.0, 4.0]]))
    >>> coded.codes.tolist(), (coded.codebook * coded.scale).tolist()
    ([[0, 0, 1, 1]], [[-1.5, 3.5]])
    """

    bits: int
    name: ClassVar[str] = "k_means"
    levels_per_weight: ClassVar[str] = "2^bits"

    def __post_init__(self):
        require_range(self.name, "bits", self.bits, 1, 8)

    def encode(self, weight: Tensor) -> Codes:
        """Return codes, the largest magnitude of each row, and the levels of each row, [rows, levels]."""
        scale = weight.abs().amax(1).clamp(min=1e-30)
        shares = weight / scale[:, None]
        values = shares.double().sort(dim=1).values
        even = lloyd(values, _even(values, 2**self.bits))
        equal = lloyd(values, _quantiles(values, 2**self.bits))
        levels = torch.where(_error(values, equal) < _error(values, even), equal, even).float()
        codes = torch.searchsorted(_between(levels), shares).to(torch.uint8)
        return Codes(codes, scale, levels=2**self.bits, codebook=levels)


def lloyd(values: Float[Tensor, "rows columns"], levels: Float[Tensor, "rows levels"]) -> Float[Tensor, "rows levels"]:
    """Return the levels that Lloyd's iterations make of `levels`, for each row of sorted `values`.

    Running sums make an iteration cost one binary search per level.
    """
    sums = torch.nn.functional.pad(values.cumsum(1), (1, 0))
    for _ in range(ITERATIONS):
        inner = torch.searchsorted(values, _between(levels))
        ends = torch.nn.functional.pad(inner, (1, 0)), torch.nn.functional.pad(inner, (0, 1), value=values.shape[1])
        members = ends[1] - ends[0]
        means = (sums.gather(1, ends[1]) - sums.gather(1, ends[0])) / members.clamp(min=1)
        levels = torch.where(members > 0, means, levels).sort(dim=1).values
    return levels


def _even(values: Tensor, count: int) -> Tensor:
    span = torch.linspace(0, 1, count, dtype=values.dtype, device=values.device)
    return torch.lerp(values[:, :1], values[:, -1:], span)


def _quantiles(values: Tensor, count: int) -> Tensor:
    places = (torch.arange(count, device=values.device) + 0.5) / count * values.shape[1]
    return values[:, places.long().clamp(max=values.shape[1] - 1)].contiguous()


def _error(values: Tensor, levels: Tensor) -> Tensor:
    nearest = levels.gather(1, torch.searchsorted(_between(levels), values))
    return (values - nearest).square().sum(1, keepdim=True)


def _between(levels: Tensor) -> Tensor:
    return ((levels[:, :-1] + levels[:, 1:]) / 2).contiguous()
