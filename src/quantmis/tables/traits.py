"""What a quantizer did to one model, besides its losses."""

from dataclasses import dataclass

FULL_PRECISION = "identity"
"""What programs call the version before any rounding; people read "full precision"."""


@dataclass(frozen=True)
class VersionTraits:
    """Hold what a quantizer did to one model; None is not known of a version that was quantized elsewhere.

    `fingerprint`: a hash of the quantized weights. `bits_per_weight` counts the scales. `sparsity`: the share of
    quantized weights that are zero. `weights`: how many were quantized. `untouched`: the layers left in full precision.
    `by_company`: whether what it predicts for a sample depends on the samples beside it; its rows hold what it predicts
    for each sample alone.
    """

    fingerprint: str
    bits_per_weight: float | None
    sparsity: float | None
    weights: int | None
    untouched: list[str]
    by_company: bool = False
