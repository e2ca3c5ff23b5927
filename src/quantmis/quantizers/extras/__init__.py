"""Quantizers of other libraries, each quantizing the real way; a library is imported when it is first used."""

from quantmis.quantizers.extras.adapter import Adapter
from quantmis.quantizers.extras.bitsandbytes import BitsAndBytes4Bit, BitsAndBytesInt8
from quantmis.quantizers.extras.brevitas import Brevitas
from quantmis.quantizers.extras.gguf import GGUF
from quantmis.quantizers.extras.hqq import HQQ
from quantmis.quantizers.extras.onnx import OnnxDynamic, OnnxMatMulNBits, OnnxStatic
from quantmis.quantizers.extras.torchao import TorchaoInt8Dynamic, TorchaoInt8WeightOnly, TorchaoIntx

__all__ = [
    "GGUF",
    "HQQ",
    "Adapter",
    "BitsAndBytes4Bit",
    "BitsAndBytesInt8",
    "Brevitas",
    "OnnxDynamic",
    "OnnxMatMulNBits",
    "OnnxStatic",
    "TorchaoInt8Dynamic",
    "TorchaoInt8WeightOnly",
    "TorchaoIntx",
]
