"""Quantizers: from a trained model to integer codes and the model that computes with them. One method, one file."""

from quantmis.quantizers.base import QUANTIZERS, Codebook, Quantized, QuantizedLayer, Quantizer
from quantmis.quantizers.identity import Identity
from quantmis.quantizers.sign import Sign
from quantmis.quantizers.ternary import Ternary
from quantmis.quantizers.uniform import Uniform

__all__ = [
    "QUANTIZERS",
    "Codebook",
    "Identity",
    "Quantized",
    "QuantizedLayer",
    "Quantizer",
    "Sign",
    "Ternary",
    "Uniform",
]
