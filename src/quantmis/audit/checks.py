"""What is tried before anything is spent: the model on a few samples, every attack, every quantizer, the folder."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from quantmis import seeds
from quantmis.attacks import Attack
from quantmis.audit.execution.computing import is_foreign
from quantmis.audit.settings import Settings
from quantmis.data.samples import Samples
from quantmis.errors import UserError, require
from quantmis.evidence import Evidence
from quantmis.files import private_folder, write_atomically
from quantmis.models import Task
from quantmis.models.calling import line_of, message_of
from quantmis.models.fresh import MAKE_NEW
from quantmis.models.hugging_face import HuggingFace
from quantmis.models.probes import FEW, few_of, require_sound, settled
from quantmis.models.rows import computed, forward
from quantmis.models.task import inputs
from quantmis.quantizers import Identity, Labelled, Quantized, Quantizer, Supervision
from quantmis.quantizers.base import needs_calibration, needs_supervision
from quantmis.quantizers.in_place import Originals, quantized_in_place, works_in_place
from quantmis.quantizers.probe import require_computes
from quantmis.registry import spelling

TRIED = FEW
OWN = (
    *(".lock", "results.json", "report.html", "store", "tables", "tables/target", "weights"),
    *("search", "search/store", "search.json", "search.html", "winner.safetensors"),
)
"""What an audit and a search write, none of which may be a link."""

TRACES = {"results.json", "store", "tables", "search"}
"""Names that tell the folder of an audit from others."""


def check(task: Task, samples: Samples, trained: nn.Module | None = None) -> None:
    """Raise `UserError` unless fresh models are fresh, take the samples, and hold what an audit assumes of models.

    `trained`: a model that stands for fresh ones, where none will be trained; it is probed as a target.
    """
    module = trained or require_fresh(task)
    few = inputs(samples)[:TRIED]
    try:
        outputs = forward(module, few, task.samples_at_once)
    except (Exception, SystemExit) as error:
        message = f"the model cannot take x[:{TRIED}], {_described(few, samples)}: {message_of(error)}"
        hint = "one sample is x[i]; whole numbers stay whole: pass x.astype('float32') unless the model embeds them"
        raise UserError(message, hint="; ".join(filter(None, [hint, line_of(error)]))) from error
    require(outputs.shape[:1] == (TRIED,), f"the model returned {list(outputs.shape)} for {TRIED} samples")
    task.loss.check(samples.y, (len(samples), *outputs.shape[1:]))
    finite = bool(torch.isfinite(outputs).all())
    require(finite, "the untrained model already returns NaN or infinity", hint="scale the inputs")
    if trained is None:  # which is looked at as a target
        require_sound("the model", module, task, few_of(inputs(samples)))


def _described(few: Tensor, samples: Samples) -> str:
    """Say what a model is called with: the type and shape of its input, or its several inputs."""
    kind = str(few.dtype).removeprefix("torch.")
    return f"{kind} of shape {list(few.shape)}" if samples.layout is None else f"with {samples.layout}"


def require_fresh(task: Task) -> nn.Module:
    """Return a fresh model; `UserError` where the next one that the task makes shares weights with it.

    Those of transformers are made anew from their files, each time.
    """
    module = task.build(0)
    if isinstance(task.model, HuggingFace):
        return module
    places = {place for _, value in _tensors(module) if (place := _place(value))}
    shared = [name for name, value in _tensors(task.build(1)) if _place(value) in places]
    require(
        not shared,
        f"model: it returns the same weights each time, so all models would be one: {', '.join(shared[:1])} is shared",
        hint=MAKE_NEW,
    )
    return module


def _tensors(module: nn.Module) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(), *module.named_buffers()]


def _place(value: Tensor) -> int:
    """Return where the memory of a tensor begins; 0 for one that holds nothing."""
    return value.untyped_storage().data_ptr() if value.numel() and value.device.type != "meta" else 0


def check_attacks(
    attacks: Sequence[Attack], seed: int, member: Bool[np.ndarray, "models samples"], signals: Sequence[str] = ()
) -> None:
    """Run every attack on random losses under the memberships of the audit, so that what cannot run says so now.

    `signals`: the names of further signals that the tables of the audit will have.
    """
    if len(member) == 0:
        return
    membership = member[:, np.any(member, axis=0)]
    losses = seeds.generator(seed, "rehearsal").random(membership.shape)
    rehearsal = Evidence(losses, membership, entropy=losses, named=dict.fromkeys(signals, losses))
    for attack in attacks:
        attack.score(rehearsal)


def check_quantizers(settings: Settings, task: Task, samples: Samples, trained: nn.Module | None = None) -> None:
    """Put an untrained model through every quantizer and run what comes out, so that what cannot be says so now.

    `trained` stands for it where nothing is trained; of it no copies are made, so that methods which work in place are
    tried when it is their turn. Of a fresh language model there are none either: they are tried in its place.
    """
    module, few = trained or task.build(0), few_of(inputs(samples))
    alone = trained is not None or task.is_language
    if trained is None and alone:
        _check_in_place(settings.quantizers, module.to(task.place), few)
    for quantizer in _to_try(settings, alone):
        shown = _few_shown(quantizer, task, samples) if needs_supervision(quantizer) else few
        quantized = _tried(quantizer, module, shown)
        require_computes(spelling(quantizer), module, quantized, few.clone())
        if is_foreign(quantizer):
            settled(spelling(quantizer), quantized.model, task, few)
        if not type(quantizer).__module__.startswith("quantmis."):
            _require_repeats(quantizer, quantized, _tried(quantizer, module, shown))


def _check_in_place(quantizers: Sequence[Quantizer], module: nn.Module, few: Tensor) -> None:
    """Make each version in the place of a model that there is to be only one of, and run it."""
    originals = Originals(module.eval())
    for quantizer in quantizers:
        if not works_in_place(quantizer):
            continue
        calibration = few.clone() if needs_calibration(quantizer) else None
        stream = torch.Generator().manual_seed(0)
        with quantized_in_place(quantizer, module, originals, calibration, stream) as quantized:
            computed(quantized.model, few.clone(), spelling(quantizer))


def _to_try(settings: Settings, alone: bool) -> list[Quantizer]:
    if not alone:
        return [*settings.quantizers, *settings.noises]
    return [each for each in settings.quantizers if not works_in_place(each) and not isinstance(each, Identity)]


def _few_shown(quantizer: Quantizer, task: Task, samples: Samples) -> Supervision:
    """Return a few samples as if the first half of them were members."""
    x, y, half = inputs(samples), task.loss.targets(samples.y), TRIED // 2
    count = min(2 * half, len(x))
    require(count >= 4, f"{spelling(quantizer)} is fitted to samples, and there are {len(x)} in all")
    members, held_out = torch.arange(count).chunk(2)
    return Supervision(Labelled(x, y, members), Labelled(x, y, held_out), task.loss)


def _tried(quantizer: Quantizer, module: nn.Module, few: Tensor | Supervision) -> Quantized:
    shown = few.clone() if isinstance(few, Tensor) else few
    calibration = shown if needs_calibration(quantizer) else None
    return quantizer.quantize(module, calibration, torch.Generator().manual_seed(0))


def _require_repeats(quantizer: Quantizer, first: Quantized, second: Quantized) -> None:
    require(
        first.fingerprint == second.fingerprint,
        f"{spelling(quantizer)} made two things of one model and one seed",
        hint="draw from the generator that quantize is given, and from nothing else",
    )


def check_folder(out: Path) -> None:
    """Raise `UserError` unless files can be written into the folder `out`, which is made where it is missing.

    A folder that holds other things than an audit is left alone: tables and a report among them would be nobody's.
    """
    private_folder(out, may_be_link=True)
    links = [name for name in OWN if (out / name).is_symlink()]
    require(
        not links, f"{out}: {', '.join(links)} is a link", hint="remove it: writing into it would change another place"
    )
    names = {each.name for each in out.iterdir()}
    strangers = sorted(name for name in names if not name.startswith("."))
    require(
        not strangers or names & TRACES,
        f"{out} holds {', '.join(strangers[:3])}, and no audit",
        hint="choose a folder of its own with --out (out= in Python)",
    )
    check_writable(out)


def check_writable(folder: Path) -> None:
    """Raise `UserError` unless files can be written into a folder, which is made where it is missing."""
    private_folder(folder, may_be_link=True)
    probe = folder / ".writable"
    write_atomically(probe, b"")
    probe.unlink()
