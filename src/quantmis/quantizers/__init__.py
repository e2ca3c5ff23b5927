"""Quantizers: from a trained model to integer codes and the model that computes with them. One method, one file."""

from quantmis.quantizers.adaround import AdaRound
from quantmis.quantizers.base import QUANTIZERS, Quantized, Quantizer, installed, needs_calibration, needs_generator
from quantmis.quantizers.brecq import BRECQ
from quantmis.quantizers.codebook import Codebook, Codes
from quantmis.quantizers.extras import (
    GGUF,
    HQQ,
    BitsAndBytes4Bit,
    BitsAndBytesInt8,
    Brevitas,
    OnnxDynamic,
    OnnxMatMulNBits,
    OnnxStatic,
    TorchaoInt8Dynamic,
    TorchaoInt8WeightOnly,
    TorchaoIntx,
)
from quantmis.quantizers.formats import Artefact, read, restore
from quantmis.quantizers.gptq import GPTQ
from quantmis.quantizers.identity import Identity
from quantmis.quantizers.k_means import KMeans
from quantmis.quantizers.matched_noise import MatchedNoise
from quantmis.quantizers.minifloat import Minifloat
from quantmis.quantizers.mixed import Mixed
from quantmis.quantizers.normal_float import NormalFloat
from quantmis.quantizers.obq import OBQ
from quantmis.quantizers.protective import Protective
from quantmis.quantizers.record import QuantizedLayer
from quantmis.quantizers.sign import Sign
from quantmis.quantizers.stochastic_rounding import StochasticRounding
from quantmis.quantizers.storage import load, save
from quantmis.quantizers.supervision import Labelled, Supervision
from quantmis.quantizers.ternary import Ternary
from quantmis.quantizers.uniform import Uniform

__all__ = [
    "BRECQ",
    "GGUF",
    "GPTQ",
    "HQQ",
    "OBQ",
    "QUANTIZERS",
    "AdaRound",
    "Artefact",
    "BitsAndBytes4Bit",
    "BitsAndBytesInt8",
    "Brevitas",
    "Codebook",
    "Codes",
    "Identity",
    "KMeans",
    "Labelled",
    "MatchedNoise",
    "Minifloat",
    "Mixed",
    "NormalFloat",
    "OnnxDynamic",
    "OnnxMatMulNBits",
    "OnnxStatic",
    "Protective",
    "Quantized",
    "QuantizedLayer",
    "Quantizer",
    "Sign",
    "StochasticRounding",
    "Supervision",
    "Ternary",
    "TorchaoInt8Dynamic",
    "TorchaoInt8WeightOnly",
    "TorchaoIntx",
    "Uniform",
    "installed",
    "load",
    "needs_calibration",
    "needs_generator",
    "read",
    "restore",
    "save",
]
