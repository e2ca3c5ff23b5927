"""The winner as a file: the model that is to ship, quantized, in the safetensors record of `quantmis.quantizers`."""

from pathlib import Path

import numpy as np
import torch

from quantmis import seeds
from quantmis.audit.request import AuditRequest
from quantmis.audit.target.shown import Shown
from quantmis.audit.target.versions import calibration_rows
from quantmis.errors import UserError
from quantmis.quantizers import Quantizer, Supervision
from quantmis.quantizers import save as save_record
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling

WINNER = "winner.safetensors"
NO_TARGET = "no trained model was given, so that there is none to quantize and save: quantize yours with the line above"
OTHER_FORMATS = "GGUF, compressed-tensors and ONNX are formats that quantmis reads and does not write"


def save_winner(request: AuditRequest, winner: Quantizer, out: Path) -> tuple[str, str]:
    """Quantize the model that is to ship and save it; return the name of the file, empty without one, and a note."""
    if request.target is None:
        return "", NO_TARGET
    if request.target.quantized:
        return "", "the model that was given is quantized already, so that the winner is not saved as another version"
    try:
        quantized = winner.quantize(request.open_model.module, _calibration(request, winner), _stream(request, winner))
        save_record(quantized, out / WINNER)
    except UserError as error:
        return "", f"the winner was not saved: {error}"
    return WINNER, f"the model, quantized: {WINNER}, read by quantmis.quantizers.restore. {OTHER_FORMATS}."


def _calibration(request: AuditRequest, winner: Quantizer) -> torch.Tensor | Supervision | None:
    if request.target is None or not needs_calibration(winner):
        return None
    everything = np.ones(len(request.samples), dtype=bool)
    rows = calibration_rows(request.target, request.settings, everything, request.target.groups(request.samples))
    return Shown.of(request, request.target, rows).to(winner)


def _stream(request: AuditRequest, winner: Quantizer) -> torch.Generator:
    seed = seeds.integer(request.settings.options.seed, "target", "quantize", spelling(winner))
    return torch.Generator().manual_seed(seed)
