"""What an audit of a language model holds in memory at once, before any of it is spent, and what the machine has.

Counted are weights in their number format, a slice of logits and what is made of it, the activations of the tokens that
are read at once, the largest layer while a method codes it, copies that a library makes, and what training keeps for
its backward pass. How often each of them is there at once was measured (`tests/language/test_memory.py`). Whatever the
process held before, such as the texts and the libraries, comes on top.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import nn

from quantmis.audit.request import AuditRequest
from quantmis.audit.target.target import Target
from quantmis.audit.target.weights import file_of, format_of
from quantmis.data.forms import own
from quantmis.data.tokens import PADDING
from quantmis.errors import require
from quantmis.model_folders import ADAPTER
from quantmis.models import Recipe, Task
from quantmis.models.engine import PAIR, SHARING, cores
from quantmis.models.hugging_face import WEIGHTS
from quantmis.models.language import LOGITS, vocabulary_of
from quantmis.quantizers import Identity, Quantizer, needs_calibration
from quantmis.quantizers import layers as part
from quantmis.quantizers.codebook import AT_ONCE as CODED
from quantmis.quantizers.in_place import works_in_place
from quantmis.tensor_files import head_of

FLOAT, DOUBLE = 4, 8

LOGITS_AT_ONCE = 2
"""Logits of a slice, and what is made of them, in float32."""

ACTIVATIONS = 5
"""Tensors as wide as the widest layer that a block holds at once."""

CODING, CODED_LAYER = 4, 13
"""Copies in float32 of what is coded at once, and bytes of each weight of a layer that is coded: codes among them."""

SOLVING = 56
"""Bytes of each weight of a layer whose codes are solved for in double precision."""

SAVED = 1.3
"""Activations that are kept for the backward pass, of the inputs and outputs of all linear layers."""

LOGITS_LEARNT = 5
"""Logits of a batch, in float32, their logarithms, and the gradients of each."""

LEARNING = 3
"""Gradients and two moments of the optimizer, each as large as what learns."""

MOMENTS = 4
"""Copies of the second moment of a layer's inputs, in double precision."""


@dataclass(frozen=True)
class MemoryNeed:
    """Hold the bytes that an audit of a language model takes at its peak, by what takes them.

    `weights`: of all models that are there at once; `copies`: of versions that libraries make beside them; `logits` and
    `activations`: of scoring; `coding`: of the layer that is quantized; `training`: adapters, gradients, moments of the
    optimizer and activations.
    """

    weights: int
    logits: int = 0
    activations: int = 0
    coding: int = 0
    copies: int = 0
    training: int = 0

    @property
    def bytes(self) -> int:
        """All of it: training, reading, scoring and quantizing are not done at once."""
        return self.weights + max(self.copies + max(self.logits, self.activations, self.coding), self.training)

    def __str__(self) -> str:
        parts = [f"{mib(getattr(self, each.name))} {each.name}" for each in fields(self) if getattr(self, each.name)]
        return f"about {mib(self.bytes)} for models: {', '.join(parts)}, not all of it at once"


def need_of(request: AuditRequest) -> MemoryNeed | None:
    """Return what an audit holds at once; None where it is of no language model, or on a device with its own memory."""
    task, models = request.task, request.settings.models
    if not task.is_language or task.place.type != "cpu":
        return None
    model, kind = shell_of(task), task.placement.format
    fresh = _count(model) * (FLOAT if kind is None else kind.itemsize)
    target = 0 if request.target is None else _target_weights(request.target, fresh, kind is not None)
    at_once = _tokens_at_once(model, request)
    logits = LOGITS_AT_ONCE * FLOAT * vocabulary_of(model) * min(at_once, max(1, LOGITS // vocabulary_of(model)))
    copies = [_copy(each, model, max(fresh if models else 0, target)) for each in request.settings.quantizers]
    held = target + (fresh * _models_at_once(task, models) if models else 0)
    return MemoryNeed(
        weights=held,
        logits=logits,
        activations=ACTIVATIONS * FLOAT * at_once * _widest(model),
        coding=max((_coding(each, model, request) for each in request.settings.quantizers), default=0),
        copies=max(copies, default=0),
        training=_training(task, model, request) if models else 0,
    )


def shell_of(task: Task) -> nn.Module:
    """Return the model of a task without memory for its weights."""
    with torch.device("meta"):
        return task.empty()


def available() -> int:
    """Return the bytes that this process may still take: those of the machine, or of the group that limits it."""
    import psutil

    return min([psutil.virtual_memory().available, *_limits()])


def _limits(root: Path = Path("/sys/fs/cgroup")) -> Iterator[int]:
    """Yield what control groups leave, of either version."""
    for folder, limit, used, cached in (
        (root, "memory.max", "memory.current", "inactive_file"),
        (root / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
    ):
        if (folder / limit).is_file() and (most := (folder / limit).read_text().strip()).isdigit():
            words = dict(line.split() for line in (folder / "memory.stat").read_text().splitlines())
            yield max(0, int(most) - int((folder / used).read_text()) + int(words.get(cached, 0)))


def require_room(request: AuditRequest) -> None:
    """Raise `UserError` where an audit of a language model would not fit into the memory that there is."""
    need = need_of(request)
    if need is None:
        return
    free = available()
    require(
        need.bytes <= free,
        f"this audit would not fit into memory: it needs {need}; {mib(free)} are free",
        hint=_hint(need, request),
    )


def _hint(need: MemoryNeed, request: AuditRequest) -> str:
    ways = ["shorter texts (longest = 256)"]
    if request.task.placement.dtype is None:
        ways.append('dtype = "bfloat16", half of the weights of float32')
    if need.copies:
        copying = [each for each in request.settings.quantizers if _is_copied(each)]
        ways.append(f"without {copying[-1].name}, which works on a copy")
    if need.training and not request.task.has_adapters:
        ways.append("lora_rank = 8, which trains adapters of one base, or a smaller batch_size")
    return "; ".join(ways)


def mib(number: int) -> str:
    """Write bytes as people read them."""
    return f"{number / 2**20:,.0f} MiB"


def _count(model: nn.Module) -> int:
    return sum(each.numel() for each in model.parameters())


def _target_weights(target: Target, fresh: int, cast: bool) -> int:
    """Return the bytes of the target, and of one it is compared with: of a file of floats those that it has.

    `cast`: whether they are brought to another number format, in which they take `fresh` bytes.
    """
    return (1 + bool(target.others)) * (fresh if cast else _own_weights(target, fresh))


def _own_weights(target: Target, fresh: int) -> int:
    if isinstance(target.weights, nn.Module):
        return sum(each.nbytes for each in target.weights.parameters())
    file = file_of(target.weights)
    if file is None or format_of(file.path) is not None or (file.path / ADAPTER).is_file():
        return fresh
    files = sorted(file.path.glob(WEIGHTS)) if file.path.is_dir() else [file.path]
    if not all(each.suffix == ".safetensors" for each in files):
        return fresh
    return sum(each.end - each.begin for path in files for each in head_of(path).tensors.values())


def _tokens_at_once(model: nn.Module, request: AuditRequest) -> int:
    """Return how many tokens are read at once where nothing is learnt: no more than there are."""
    most: int = model.tokens_at_once  # pyright: ignore[reportAssignmentType]
    return min(most, int((own(request.samples.x) != PADDING).sum()))


def _linear(model: nn.Module) -> list[tuple[int, int]]:
    """Return the outputs and inputs of every linear layer but the head."""
    head = model.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    layers = [each for each in part.quantizable(model).values() if each is not head]
    weights = [part.weight_of(each) for each in layers if not isinstance(each, nn.Embedding)]
    return [(int(each.shape[0]), int(np.prod(each.shape[1:]))) for each in weights]


def _widest(model: nn.Module) -> int:
    return max((size for shape in _linear(model) for size in shape), default=1)


def _copy(quantizer: Quantizer, model: nn.Module, weights: int) -> int:
    """Return the bytes of the copy that a method makes which does not work in place, and of its codes."""
    return weights + _count(model) if _is_copied(quantizer) else 0


def _is_copied(quantizer: Quantizer) -> bool:
    return not works_in_place(quantizer) and not isinstance(quantizer, Identity)


def _coding(quantizer: Quantizer, model: nn.Module, request: AuditRequest) -> int:
    """Return the bytes that a method takes beside the model while it codes the largest layer."""
    if isinstance(quantizer, Identity):
        return 0
    sizes = [part.weight_of(each).numel() for each in part.quantizable(model).values()]
    largest = max(sizes, default=0)
    coding = CODED_LAYER * largest + CODING * FLOAT * min(largest, CODED)
    if not needs_calibration(quantizer):
        return coding
    layers = _linear(model)
    solved = max((SOLVING * rows * columns + MOMENTS * DOUBLE * columns**2 for rows, columns in layers), default=0)
    head = model.get_output_embeddings()  # pyright: ignore[reportCallIssue]
    solved = max(solved, 0 if head is None else SOLVING * head.weight.numel())  # pyright: ignore
    tokens = int((own(request.samples.x)[:256] != PADDING).sum())
    return max(coding, solved) + 2 * FLOAT * tokens * min(columns for _, columns in layers)


def _models_at_once(task: Task, models: int) -> int:
    """Return how many models with weights of their own are there at once."""
    return 1 if task.shares_base else PAIR * max(1, min(cores(), models // 2))


def _training(task: Task, model: nn.Module, request: AuditRequest) -> int:
    """Return the bytes that training takes beside the weights; of a function of the user's nobody knows."""
    recipe, layers = task.recipe, _linear(model)
    if not isinstance(recipe, Recipe):
        return LEARNING * FLOAT * _count(model)
    rank = recipe.lora_rank
    learns = _count(model) if rank is None else rank * sum(map(sum, layers))
    own_weights = 0 if rank is None else learns
    models = (
        min(SHARING, request.settings.models) if task.shares_base else _models_at_once(task, request.settings.models)
    )
    tokens = min(len(request.samples), recipe.batch_size) * int((own(request.samples.x) != PADDING).sum(1).max())
    saved = SAVED * sum(map(sum, layers)) + LOGITS_LEARNT * vocabulary_of(model)
    workers = 1 if task.shares_base else max(1, models // PAIR)
    return round(FLOAT * (models * (LEARNING * learns + own_weights) + workers * tokens * saved))
