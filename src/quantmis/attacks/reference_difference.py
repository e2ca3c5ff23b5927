"""Difference to a reference model (Carlini et al. 2021, arXiv 2012.07805): what this very training taught."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class ReferenceDifference(TextSignal):
    """Score by how far the mean token loss lies below that of a reference, such as the model before fine-tuning."""

    name: ClassVar[str] = "reference_difference"
    description: ClassVar[str] = (
        "Difference to a reference: asks how much better the model expects a text than another model does, "
        "such as the one before fine-tuning."
    )
    needs: ClassVar[str] = "a reference model: the one before fine-tuning"
