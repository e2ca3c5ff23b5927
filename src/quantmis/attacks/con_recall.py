"""Con-ReCaLL (Wang et al. 2024, arXiv 2409.03363): members are moved one way by members, another by non-members."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class ConReCaLL(TextSignal):
    """Score by the mean token loss behind non-members, less half of that behind members, over that of the text."""

    name: ClassVar[str] = "con_recall"
    description: ClassVar[str] = (
        "Con-ReCaLL: puts texts that the model never saw before a text, and then texts that it was trained on; what it "
        "was trained on loses more behind the first than behind the second."
    )
    needs: ClassVar[str] = "texts audited as causal-lm with a prefix and a member_prefix"
