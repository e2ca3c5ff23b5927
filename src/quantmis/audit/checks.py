"""What is tried before anything is spent: the model on a few samples, every attack, every quantizer, the folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from quantmis import seeds
from quantmis.audit.settings import Settings
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.files import write_atomically
from quantmis.models import Task
from quantmis.models.rows import forward
from quantmis.quantizers import Quantized, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.quantizers.probe import require_computes
from quantmis.registry import spelling

TRIED = 8


def check(task: Task, samples: Samples) -> None:
    """Raise `UserError` unless a fresh model takes the samples and its outputs fit the targets."""
    module = task.build(0)
    try:
        outputs = forward(module, torch.from_numpy(samples.x[:TRIED]))
    except Exception as error:
        x = samples.x
        message = f"the model cannot take x[:{TRIED}], {x.dtype} of shape {[TRIED, *x.shape[1:]]}: {error}"
        hint = "one sample is x[i]; whole numbers stay whole: pass x.astype('float32') unless the model embeds them"
        raise UserError(message, hint=hint) from error
    require(outputs.shape[:1] == (TRIED,), f"the model returned {list(outputs.shape)} for {TRIED} samples")
    task.loss.check(samples.y, (len(samples), *outputs.shape[1:]))
    finite = bool(torch.isfinite(outputs).all())
    require(finite, "the untrained model already returns NaN or infinity", hint="scale the inputs")


def check_attacks(settings: Settings, member: Bool[np.ndarray, "models samples"], named: Sequence[str] = ()) -> None:
    """Run every attack on random losses under the memberships of the audit, so that what cannot run says so now.

    `named`: the further signals that the tables of the audit will have.
    """
    if len(member) == 0:
        return
    shown = member[:, np.any(member, axis=0)]
    losses = seeds.generator(settings.options.seed, "rehearsal").random(shown.shape)
    rehearsal = Evidence(losses, shown, entropy=losses, named=dict.fromkeys(named, losses))
    for attack in settings.attacks:
        attack.score(rehearsal)


def check_quantizers(settings: Settings, task: Task, samples: Samples) -> None:
    """Put an untrained model through every quantizer and run what comes out, so that what cannot be says so now."""
    module, inputs = task.build(0), torch.from_numpy(samples.x[:TRIED])
    for quantizer in (*settings.quantizers, *settings.noises):
        made = _tried(quantizer, module, inputs)
        require_computes(spelling(quantizer), module, made, inputs)
        if not type(quantizer).__module__.startswith("quantmis."):
            _require_repeats(quantizer, made, _tried(quantizer, module, inputs))


def _tried(quantizer: Quantizer, module: nn.Module, inputs: Tensor) -> Quantized:
    calibration = inputs if needs_calibration(quantizer) else None
    return quantizer.quantize(module, calibration, torch.Generator().manual_seed(0))


def _require_repeats(quantizer: Quantizer, first: Quantized, second: Quantized) -> None:
    require(
        first.fingerprint == second.fingerprint,
        f"{spelling(quantizer)} made two things of one model and one seed",
        hint="draw from the generator that quantize is given, and from nothing else",
    )


def check_folder(out: Path) -> None:
    """Raise `UserError` unless files can be written into the folder `out`, which is made where it is missing."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {out}: {error.strerror}", hint="choose another --out") from error
    probe = out / ".writable"
    write_atomically(probe, b"")
    probe.unlink()
