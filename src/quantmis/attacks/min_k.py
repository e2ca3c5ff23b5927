"""Min-K% Prob (Shi et al. 2024, arXiv 2310.16789): a text that was trained on has few surprising tokens."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class MinK(TextSignal):
    """Score by the mean log-probability of the fifth of the tokens that the model finds least likely."""

    name: ClassVar[str] = "min_k"
    description: ClassVar[str] = (
        "Min-K %: looks at the few words of a text that the model expects least; of a text that it was "
        "trained on, even these are no surprise."
    )
