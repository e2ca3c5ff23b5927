"""ONNX files that somebody else quantized, computed by ONNX Runtime as they are: its rounding of activations counts."""

import hashlib
from dataclasses import replace
from pathlib import Path

from torch import nn

from quantmis.errors import require
from quantmis.files import content_of
from quantmis.quantizers.base import method_of
from quantmis.quantizers.extras.adapter import using_library
from quantmis.quantizers.extras.onnx import OnnxDynamic
from quantmis.quantizers.extras.onnx_export import Session
from quantmis.quantizers.formats import read
from quantmis.quantizers.formats.onnx_graph import inlined
from quantmis.quantizers.quantized import Change, Quantized, record


def onnx_file(path: Path) -> Quantized:
    """Return the record of a file and a session that computes it; names are those of the file.

    Data that lies beside the file is computed with, and is in the fingerprint. Raises `UserError` where the file is
    damaged, holds no quantized weights, may not be computed, or ONNX Runtime refuses it.
    """
    artefact = read(path)
    require(
        artefact.layers,
        f"{path} holds no quantized weights",
        hint="an ONNX file in full precision: give the weights that it was exported from",
    )
    data = inlined(content_of(path), str(path), path)
    session = Session(data)
    with using_library(OnnxDynamic()):
        session.start()
    result = record(method_of(OnnxDynamic()), nn.Module(), Change(session, artefact.layers))
    matrices = tuple(name for name, value in (artefact.others or {}).items() if value.ndim > 1)
    return replace(result, untouched=matrices, fingerprint=hashlib.sha256(data).hexdigest())
