"""Which layer gives the training data away: one layer quantized at a time, and all but one."""

from collections.abc import Sequence
from dataclasses import dataclass

from torch import nn

from quantmis.audit.execution.progress import Stages
from quantmis.quantizers import Identity, Mixed, Quantizer, layers
from quantmis.search.judging import Judge, Judged
from quantmis.search.pairs import Pairs
from quantmis.search.parts import PLACES

MOST = 32
"""Layers that are told apart; of a larger model those of the most weights."""


@dataclass(frozen=True)
class LayerWorth:
    """Hold what one layer does: the model with it alone quantized, and the model with all but it quantized."""

    layer: str
    weights: int
    alone: Judged
    others: Judged


def layer_worths(model: nn.Module, probe: Quantizer, pairs: Pairs, judge: Judge, stages: Stages) -> list[LayerWorth]:
    """Return what each layer does, in the order of the model."""
    sizes = {name: weight.numel() for name, weight in layers.weights(model).items()}
    largest = sorted(sizes, key=lambda name: -sizes[name])[:MOST]
    worths, tick = list[LayerWorth](), stages.stage("layers", len(largest))
    for name in (each for each in sizes if each in largest):
        alone, others = _quantizers(name, [each for each in sizes if each != name], probe)
        tables = pairs.tables([alone, others])
        worths.append(LayerWorth(name, sizes[name], *(judge.judged(each) for each in tables)))
        tick(1)
    return worths


def _quantizers(name: str, others: Sequence[str], probe: Quantizer) -> tuple[Quantizer, Quantizer]:
    if not others:
        return probe, Identity()
    rest = ", ".join(map(exactly, others))
    return Mixed(of=probe, at=Identity(), layers=rest), Mixed(of=probe, at=Identity(), layers=exactly(name))


def exactly(name: str) -> str:
    """Return the pattern that matches just the layer of that name.

    >>> exactly("head.fc"), exactly("last"), exactly("a,b[0]")
    ('head.fc', '[l]ast', 'a?b[[]0]')
    """
    pattern = name.replace("[", "[[]").replace("*", "[*]").replace(",", "?")
    return f"[{pattern[0]}]{pattern[1:]}" if pattern in PLACES else pattern
