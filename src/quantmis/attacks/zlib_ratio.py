"""Zlib ratio (Carlini et al. 2021, arXiv 2012.07805): surprising to a compressor, expected by the model."""

from dataclasses import dataclass
from typing import ClassVar

from quantmis.attacks.base import ATTACKS
from quantmis.attacks.text_signal import TextSignal


@ATTACKS.add
@dataclass(frozen=True)
class ZlibRatio(TextSignal):
    """Score by the negated mean token loss over the number of bytes that zlib makes of the text."""

    name: ClassVar[str] = "zlib_ratio"
    description: ClassVar[str] = (
        "Zlib ratio: a text that surprises a compressor and not the model was probably trained on."
    )
