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
    needs: ClassVar[str] = "texts with capital letters, audited as causal-lm"
