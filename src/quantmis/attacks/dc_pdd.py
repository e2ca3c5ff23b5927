"""DC-PDD (Zhang et al. 2024, arXiv 2409.14781): a token counts by how rare it is elsewhere."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class DCPDD(TextSignal):
    """Score by the mean, over first places of tokens, of p times -log of their share in a corpus, at most 0.01."""

    name: ClassVar[str] = "dc_pdd"
    description: ClassVar[str] = (
        "DC-PDD: asks how likely the model finds each word, and counts words that are rare in other texts for more: "
        "common words are expected anyway."
    )
    needs: ClassVar[str] = "texts audited as causal-lm with a corpus in which tokens are counted"
