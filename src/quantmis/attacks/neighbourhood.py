"""Neighbourhood attack (Mattern et al. 2023, arXiv 2305.18462): what was trained on stands out among its like."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class Neighbourhood(TextSignal):
    """Score by the mean token loss of copies with a few tokens replaced, less that of the text itself."""

    name: ClassVar[str] = "neighbourhood"
    description: ClassVar[str] = (
        "Neighbourhood: replaces a few words of a text by others that could stand there; what the model was trained on "
        "it expects more than such copies of it."
    )
    needs: ClassVar[str] = "texts audited as causal-lm with neighbours"
