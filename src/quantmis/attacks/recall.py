"""ReCaLL (Xie et al. 2024, arXiv 2406.15968): what was trained on is expected less behind a text that was not."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class ReCaLL(TextSignal):
    """Score by the mean token loss behind a prefix of non-members over that of the text alone."""

    name: ClassVar[str] = "recall"
    description: ClassVar[str] = (
        "ReCaLL: puts texts that the model never saw before a text; what it was trained on becomes less expected by "
        "that than what is new to it anyway."
    )
    needs: ClassVar[str] = "texts audited as causal-lm with a prefix of texts that the model never saw"
