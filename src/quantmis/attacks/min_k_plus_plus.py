"""Min-K%++ (Zhang et al. 2025, arXiv 2404.02936): a token that was trained on is a mode of its distribution."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class MinKPlusPlus(TextSignal):
    """Score by the mean over the fifth of the tokens that stand out least, as measured against all others there.

    Each token's log-probability is brought to the mean and deviation of those of the tokens that could stand in its
    place.
    """

    name: ClassVar[str] = "min_k_plus_plus"
    description: ClassVar[str] = (
        "Min-K %++: as Min-K %, each word being compared with all others that could stand in its place."
    )
