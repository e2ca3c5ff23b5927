"""What a search may try: a version for all layers, and versions of their own for parts of the model.

A candidate is written as whole numbers and words by name, which is what a sampler sees: `rest.family`, `rest.bits` (the
place in the list of bits), `rest.granularity`, `rest.sparsity`, and for every part whether it has a version of its own
and which. All have a value in every candidate; a family leaves alone what it has no meaning for. So the space has no
conditions, and several candidates may mean the same quantizer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from itertools import product
from typing import Any, Protocol, runtime_checkable

import numpy as np

from quantmis import seeds
from quantmis.audit.search_options import CALIBRATED, FAMILIES, SearchOptions
from quantmis.errors import UserError, require
from quantmis.quantizers import QUANTIZERS, Mixed, Quantizer
from quantmis.quantizers.base import needs_calibration
from quantmis.registry import spelling

REST = "rest"
KNOBS = ("bits", "granularity", "sparsity")
PLAIN_FIRST = 60
"""Candidates of one version for all layers that are tried before any sampler proposes one."""

Params = Mapping[str, Any]


@runtime_checkable
class Suggests(Protocol):
    """Propose values, as a trial of Optuna does."""

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        """Return one of the choices."""
        ...

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        ...


@dataclass(frozen=True)
class Family:
    """Hold a kind of quantizer and which values of each knob it takes; `whole` stands for a family of one quantizer."""

    name: str
    kind: type[Quantizer]
    values: Mapping[str, tuple[Any, ...]]
    whole: Quantizer | None = None

    @property
    def may_be_mixed(self) -> bool:
        """Whether a layer of a model may have it beside layers that have others."""
        return self.kind.extra is None and self.kind.has_codes

    def version(self, knobs: Params) -> Quantizer:
        """Return the quantizer of the family at these values, or at the nearest that it takes."""
        if self.whole is not None:
            return self.whole
        return _made(self.kind, {name: _nearest(values, knobs[name]) for name, values in self.values.items()})

    def versions(self) -> list[dict[str, Any]]:
        """Return the values of the knobs of every quantizer of the family."""
        return [dict(zip(self.values, each, strict=True)) for each in product(*self.values.values())]


@dataclass(frozen=True)
class Space:
    """Hold the families, the values of each knob in order, and the patterns of the layers that may differ."""

    families: tuple[Family, ...]
    knobs: Mapping[str, tuple[Any, ...]]
    parts: tuple[str, ...]

    @property
    def mixable(self) -> tuple[str, ...]:
        """The families that parts of a model may have."""
        return tuple(each.name for each in self.families if each.may_be_mixed)

    @property
    def plain(self) -> list[Quantizer]:
        """Every version for all layers alike, once."""
        return list(dict.fromkeys(family.version(each) for family in self.families for each in family.versions()))

    @property
    def size(self) -> int:
        """The number of different quantizers."""
        plain = self.plain
        mixed = [each for each in plain if each.extra is None]
        return len(plain) - len(mixed) + len(mixed) ** (1 + len(self.parts))

    def describe(self) -> dict[str, Any]:
        """Return what the space is, in plain words and numbers."""
        families = {each.name: {name: list(values) for name, values in each.values.items()} for each in self.families}
        return {"families": families, "layers": list(self.parts)}

    def suggested(self, trial: Suggests) -> dict[str, Any]:
        """Return the candidate that a sampler proposes."""
        params = self._suggested(trial, REST, [each.name for each in self.families])
        for part in self.parts:
            params[f"{part}.own"] = trial.suggest_categorical(f"{part}.own", (False, True))
            params |= self._suggested(trial, part, self.mixable)
        return params

    def _suggested(self, trial: Suggests, part: str, families: Sequence[str]) -> dict[str, Any]:
        params: dict[str, Any] = {f"{part}.family": trial.suggest_categorical(f"{part}.family", families)}
        for name, values in self.knobs.items():
            full = f"{part}.{name}"
            params[full] = (
                trial.suggest_categorical(full, [str(each) for each in values])
                if name == "granularity"
                else trial.suggest_int(full, 0, len(values) - 1)
            )
        return params

    def quantizer(self, params: Params) -> Quantizer:
        """Return the quantizer that a candidate means."""
        made, own = self._version(REST, params), dict[Quantizer, list[str]]()
        for part in self.parts if made.extra is None else ():
            if params[f"{part}.own"] and (other := self._version(part, params)) != made:
                own.setdefault(other, []).append(part)
        for version, parts in own.items():
            made = Mixed(of=made, at=version, layers=", ".join(parts))
        return made

    def _version(self, part: str, params: Params) -> Quantizer:
        family = next(each for each in self.families if each.name == params[f"{part}.family"])
        return family.version({name: self._value(name, params[f"{part}.{name}"]) for name in self.knobs})

    def _value(self, knob: str, place: Any) -> Any:
        values = self.knobs[knob]
        return next(each for each in values if str(each) == place) if knob == "granularity" else values[place]

    def starts(self, seed: int, first: Sequence[Quantizer]) -> list[dict[str, Any]]:
        """Return the candidates to begin with: those that mean one of `first`, and others of one version at random."""
        every = {family.version(each): (family, each) for family in self.families for each in family.versions()}
        named = [each for each in first if each in every]
        others = [each for each in every if each not in named]
        order = seeds.generator(seed, "search", "starts").permutation(len(others))
        chosen = [*named, *(others[each] for each in order)][:PLAIN_FIRST]
        return [self._params(*every[each]) for each in chosen]

    def _params(self, family: Family, knobs: Params) -> dict[str, Any]:
        """Return the candidate that gives all layers one version."""
        params = self._placed(REST, family.name, knobs)
        for part in self.parts:
            params |= {f"{part}.own": False, **self._placed(part, self.mixable[0], {})}
        return params

    def _placed(self, part: str, family: str, knobs: Params) -> dict[str, Any]:
        places: dict[str, Any] = {name: values.index(knobs.get(name, values[0])) for name, values in self.knobs.items()}
        if "granularity" in places:
            places["granularity"] = str(self.knobs["granularity"][places["granularity"]])
        return {f"{part}.family": family, **{f"{part}.{name}": place for name, place in places.items()}}


def space_of(options: SearchOptions, parts: Sequence[str]) -> Space:
    """Return the space that options describe over the `parts` of a model; `UserError` for one of nothing to choose."""
    values: dict[str, tuple[Any, ...]] = {
        "bits": tuple(sorted(set(options.bits))),
        "granularity": tuple(dict.fromkeys(options.granularity)),
        "sparsity": tuple(sorted(set(map(float, options.sparsity)))),
    }
    default = (*FAMILIES, *(CALIBRATED if options.calibrated else ()))
    named = list(dict.fromkeys(default if options.families is None else options.families))
    families = tuple(_family(each, values, options.calibrated) for each in named)
    used = {knob: values[knob] for knob in KNOBS if any(knob in each.values for each in families)}
    mixable = [each for each in families if each.may_be_mixed]
    space = Space(families, used, tuple(parts) if mixable else ())
    require(
        space.size > 1,
        f"the search space is one point, {spelling(space.plain[0])}: there is nothing to search",
        hint=f"audit it: quantizers = ['{spelling(space.plain[0])}']; or name more families, bits or granularities",
    )
    return space


def _family(name: str, values: Mapping[str, tuple[Any, ...]], calibrated: bool) -> Family:
    whole = QUANTIZERS.parse(name) if "(" in name else None
    kind = type(whole) if whole is not None else QUANTIZERS.find(name)
    looks = kind.needs_calibration if whole is None else needs_calibration(whole)
    require(calibrated or not looks, f"{name} looks at data", hint="say calibrated = true, or leave it out")
    require(kind.has_codes, f"{name} does not quantize", hint="full precision is always measured")
    if whole is not None:
        return Family(name, kind, {}, whole)
    _require_within(name, kind)
    return Family(name, kind, {knob: _taken(name, kind, knob, values[knob]) for knob in KNOBS if _has(kind, knob)})


def _require_within(name: str, kind: type[Any]) -> None:
    """Raise `UserError` where a family has a parameter that must be said and that no search varies."""
    needed = [each.name for each in fields(kind) if each.default is MISSING and each.default_factory is MISSING]
    unknown = [each for each in needed if each not in KNOBS]
    require(
        not unknown,
        f"{name} has parameters that a search does not vary: {', '.join(unknown)}",
        hint=f"write it out as one candidate: {name}({', '.join(f'{each}=...' for each in unknown)})",
    )


def _has(kind: type[Any], knob: str) -> bool:
    return ("per" if knob == "granularity" else knob) in {each.name for each in fields(kind)}


def _taken(name: str, kind: type[Quantizer], knob: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the values of a knob that a family takes; `UserError` where it takes none of them."""
    others = {each: default for each, default in (("bits", 4), ("sparsity", 0.5)) if _has(kind, each) and each != knob}
    good, why = list[Any](), ""
    for value in values:
        try:
            _made(kind, {**others, knob: value})
            good.append(value)
        except UserError as error:
            why = str(error)
    require(good, f"{name} takes none of the {knob} of the search: {why}", hint=f"leave out {name}, or add to {knob}")
    return tuple(good)


def _made(kind: type[Any], knobs: Params) -> Quantizer:
    words = {name: value for name, value in knobs.items() if name != "granularity"}
    if "granularity" in knobs:
        value = knobs["granularity"]
        words |= {"per": "tensor" if value == "tensor" else "channel"}
        if any(each.name == "group_size" for each in fields(kind)):
            words["group_size"] = value if isinstance(value, int) else None
    return kind(**words)


def _nearest(values: tuple[Any, ...], value: Any) -> Any:
    if value in values or isinstance(value, str):
        return value if value in values else values[0]
    return min(values, key=lambda each: abs(each - value) if isinstance(each, int | float) else np.inf)
