"""ONNX files that somebody else quantized, computed by ONNX Runtime as they are: its rounding of activations counts."""

import hashlib
from dataclasses import replace
from pathlib import Path

from torch import nn

from quantmis.errors import require
from quantmis.quantizers.base import Change, Quantized, record
from quantmis.quantizers.extras.adapter import using_library
from quantmis.quantizers.extras.onnx import OnnxDynamic
from quantmis.quantizers.extras.onnx_export import Session
from quantmis.quantizers.formats import read


def onnx_file(path: Path) -> Quantized:
    """Return the record of a file and a session that computes it; names are those of the file.

    `UserError` where it is damaged, holds no quantized weights, or ONNX Runtime refuses it.
    """
    found = read(path)
    require(
        found.layers,
        f"{path} holds no quantized weights",
        hint="an ONNX file in full precision: give the weights that it was exported from",
    )
    data = path.read_bytes()
    session = Session(data)
    with using_library(OnnxDynamic()):
        session.start()
    told = record(OnnxDynamic(), nn.Module(), Change(session, found.layers))
    left = tuple(name for name, value in (found.others or {}).items() if value.ndim > 1)
    return replace(told, untouched=left, fingerprint=hashlib.sha256(data).hexdigest())
