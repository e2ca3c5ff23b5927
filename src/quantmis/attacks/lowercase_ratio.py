"""Lower-case ratio (Carlini et al. 2021, arXiv 2012.07805): the very letters were seen, not only the words."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class LowercaseRatio(TextSignal):
    """Score by the negated mean token loss over that of the same text in lower case."""

    name: ClassVar[str] = "lowercase_ratio"
    description: ClassVar[str] = (
        "Lower-case ratio: asks whether the model expects a text more than the same in lower case."
    )
    needs: ClassVar[str] = "texts with capital letters, audited as causal-lm"
