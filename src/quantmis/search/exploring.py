"""The part of a search that sees only its own samples: pairs of models, candidates, layers."""

import hashlib
from collections.abc import Callable

from quantmis.audit.execution.own_code import own_code
from quantmis.audit.execution.progress import shown_stages
from quantmis.errors import UserError
from quantmis.registry import spelling
from quantmis.search.confirming import as_worth, nearest
from quantmis.search.judging import Judge
from quantmis.search.layers import LayerWorth, layer_worths
from quantmis.search.pairs import Pairs, trained
from quantmis.search.record import Candidate, Layer, SearchRecord
from quantmis.search.request import FOLDER, SearchRequest
from quantmis.search.study import Search, Tried, describe
from quantmis.search.watch import Watch

STORE = "store"
CODE = ("quantmis.search.judging", "quantmis.search.space", "quantmis.search.study")
"""Where the code begins that decides what is proposed, and what it is worth."""

Heard = Callable[[Tried], None]


class Exploration:
    """Hold the trained pairs, what was tried on them, and what each layer does."""

    def __init__(self, request: SearchRequest, pairs: Pairs):
        options = request.options
        self._request, self._pairs = request, pairs
        self._judge = Judge(pairs.whole, request.limits, options.level, options.seed)
        starts = request.space.starts(options.seed, request.beside)
        self.search = Search(request.out / FOLDER, _name(request, pairs), request.space, options.seed, starts)
        self._layers: list[LayerWorth] = []

    def explore(self, progress: bool, heard: Heard) -> None:
        """Try candidates until there are as many as asked for, or nothing is left to try."""
        options = self._request.search
        watch = Watch(options.candidates, options.prefer, progress)
        while len(self.search.tried) < options.candidates and not self.search.is_exhausted:
            tried = self.search.step(lambda each: self._judge.judged(self._pairs.tables([each])[0]))
            watch.heard(tried)
            heard(tried)

    def require_within(self) -> None:
        """Raise `UserError` that says what comes nearest, unless a candidate keeps the limits."""
        tried = self.search.tried
        if any(each.judged.is_within for each in tried):
            return
        best = nearest(tried, self._request.limits)
        short = {key: miss for key, miss in best.judged.shortfalls.items() if miss > 0}
        misses = [f"{each} missed by {short[each.key]:.3g}" for each in self._request.limits if each.key in short]
        raise UserError(
            f"none of {len(tried)} candidates keeps the limits; {best.quantizer} comes nearest: {', '.join(misses)}",
            hint="relax the limits, or widen the space; nothing is trained again",
        )

    def tell_layers_apart(self, progress: bool) -> None:
        """Quantize one layer at a time, and all but one."""
        model, probe = self._request.task.build(0), self._request.probe
        with shown_stages(progress) as stages:
            self._layers = layer_worths(model, probe, self._pairs, self._judge, stages)

    def record(self, *notes: str) -> SearchRecord:
        """Return what was found so far."""
        request, seen = self._request, len(self._request.seen)
        return SearchRecord(
            model=request.task.name,
            metric=request.task.loss.metric,
            seed=request.options.seed,
            trainings=request.search.trainings,
            samples_searched=seen,
            samples_confirmed=len(request.samples) - seen,
            space=request.space.describe(),
            points=request.space.size,
            limits=[str(each) for each in request.limits],
            not_judged=request.not_judged,
            prefer=request.search.prefer,
            full_precision=as_worth(self._judge.baseline),
            candidates=[_candidate(each) for each in self.search.tried],
            front=[each.quantizer for each in self.search.front()],
            probe=spelling(request.probe),
            layers=[_layer(each) for each in self._layers],
            notes=list(notes),
        )


def begun(request: SearchRequest, progress: bool) -> Exploration:
    """Return the exploration once its pairs are trained, with what was tried in the same search before."""
    families = request.space.families
    first = dict.fromkeys([*(family.version(family.versions()[0]) for family in families), request.probe])
    folder, count = request.out / FOLDER / STORE, request.search.trainings
    with shown_stages(progress) as stages:
        pairs = trained(request.task, request.seen, request.options, count, list(first), folder, stages)
    return Exploration(request, pairs)


def _name(request: SearchRequest, pairs: Pairs) -> str:
    """Return the hash of all that a search depends on; how many candidates it tries is not part of it."""
    limits = [[each.key, each.threshold] for each in request.limits]
    beside = [spelling(each) for each in request.beside]
    words = describe(request.space.describe(), limits, request.options.seed, pairs.keys, own_code(*CODE), beside)
    return hashlib.sha256(words.encode()).hexdigest()


def _candidate(tried: Tried) -> Candidate:
    return Candidate(number=tried.number, quantizer=tried.quantizer, worth=as_worth(tried.judged))


def _layer(worth: LayerWorth) -> Layer:
    alone, others = as_worth(worth.alone), as_worth(worth.others)
    return Layer(layer=worth.layer, weights=worth.weights, alone=alone, others=others)
