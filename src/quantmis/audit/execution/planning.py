"""From what was asked for to what is to be computed: who is trained on what, by which engine, up to which steps."""

import hashlib
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Int

from quantmis import seeds
from quantmis.audit.execution.code_hash import code_hash
from quantmis.audit.execution.keys import rows_keys, weights_keys
from quantmis.audit.execution.outside import watched
from quantmis.audit.execution.store import WEIGHTS, Choice, Store
from quantmis.audit.execution.work import Work
from quantmis.audit.request import AuditRequest
from quantmis.audit.settings import Settings
from quantmis.audit.target.target import Target
from quantmis.data import complementary_halves as halves
from quantmis.data.canaries import Planted, with_canaries, with_random_texts
from quantmis.data.membership import by_coins, halvable, hold_out, members_each, require_apart, require_groups
from quantmis.errors import UserError
from quantmis.models import CausalLM, Recipe, Task
from quantmis.models.engine import ENGINES, KINDS, Engine, choose_engine, cores, engine_of
from quantmis.models.rehearsal import rehearse

SPARE = 100
"""Samples that are neither members nor non-members of the target: if so many, they are the held-out ones."""


def plan(request: AuditRequest, member: np.ndarray, store: Store | None) -> Work:
    """Return what is to be computed, by the engine kind that `store` was begun with where it was.

    A fresh model is tried first, unless all models are trained already. Raises `UserError` for what its training
    raises, and where the utility cannot be measured on the samples that are held out.
    """
    planting = planted(request)
    plain = len(planting.samples) - planting.canaries
    request.task.loss.require_measurable(planting.samples.y[:plain][~np.any(member[:, :plain], axis=0)])
    settled = None if store is None else _settled(request, store)
    if store is not None and settled is not None:
        work = _work(request, member, planting, settled)
        if _is_trained(work, store):
            return work
    outside = _rehearsed(request, planting, member)
    return replace(_work(request, member, planting, _engine(request, store)), outside=outside)


def _work(request: AuditRequest, member: np.ndarray, planting: Planted, engine: Engine) -> Work:
    task, settings = request.task, request.settings
    return Work(
        task=task,
        samples=planting.samples,
        member=member,
        quantizers=(*settings.quantizers, *settings.noises),
        seed=settings.options.seed,
        engine=engine,
        checkpoints=_checkpoints(task, members_each(member), settings.options.checkpoint_every),
        replicates=settings.replicates,
        keep_weights=settings.options.keep_weights,
        canaries=planting.canaries,
        calibrate_on=settings.options.calibrate_on,
        repeats=planting.repeats if _are_texts(request) else None,
        scope=scope_of(task),
        together=planting.together,
    )


def _are_texts(request: AuditRequest) -> bool:
    """Say whether canaries are texts."""
    return isinstance(request.task.loss, CausalLM) and bool(request.settings.options.canaries)


def _rehearsed(request: AuditRequest, planting: Planted, member: np.ndarray) -> dict[str, str]:
    """Return digests of what a fresh model read while it was tried; `UserError` where it cannot be trained."""
    members = members_each(member, planting.repeats)
    with watched(scope_of(request.task)) as observed:
        rehearse(request.task, planting.samples, members, request.settings.options.seed)
    return observed.digests()


def _is_trained(work: Work, store: Store) -> bool:
    """Say whether nothing is left to train: of each group there are the weights, or the rows of every quantizer."""
    weights = weights_keys(work)
    rows = rows_keys(work, weights)
    numbers = range(len(work.quantizers))
    return all(
        store.path(key, WEIGHTS).exists() or all(store.path(rows[group, number]).exists() for number in numbers)
        for group, key in weights.items()
    )


def scope_of(task: Task) -> str:
    """Return the hash of the functions of the user's that train: what they read is told apart by it."""
    return code_hash([task.model, task.recipe, task.loss])


def planted(request: AuditRequest) -> Planted:
    """Return the samples with the canaries that were asked for behind them."""
    generator = seeds.generator(request.settings.options.seed, "canaries")
    plant = with_random_texts if isinstance(request.task.loss, CausalLM) else with_canaries
    return plant(request.samples, request.settings.options.canaries, generator)


def _engine(request: AuditRequest, store: Store | None) -> Engine:
    """Return the engine by which models will train, tried on them; the kind that was chosen here before stays."""
    settings = request.settings
    before = store.remembered(_address(request)) if store is not None and settings.options.engine == "auto" else None
    kind = before.kind if before is not None and before.kind in ENGINES else settings.options.engine
    engine = choose_engine(request.task, request.samples, settings.models, kind, _memory(request))
    if before is not None:
        engine = replace(engine, seconds=before.seconds)
    if store is not None:
        store.remember(_address(request), Choice(engine.kind, engine.seconds, engine.reasons))
    return engine


def _settled(request: AuditRequest, store: Store) -> Engine | None:
    """Return the engine that was chosen here before, which is not tried again; None where another is asked for."""
    before, asked = store.remembered(_address(request)), request.settings.options.engine
    if before is None or before.kind not in KINDS or asked not in ("auto", before.kind):
        return None
    choice = (before.kind, request.task, request.samples, request.settings.models)
    return engine_of(*choice, before.seconds, before.reasons, _memory(request))


def _memory(request: AuditRequest) -> int:
    return round(request.settings.options.memory * 2**30)


def _address(request: AuditRequest) -> str:
    """Return the hash of what the choice of an engine kind depends on."""
    task = request.task
    address = f"{task.build(0)!r}{task.describe_recipe()}{request.samples.x.shape}{cores()}"
    return hashlib.sha256(address.encode()).hexdigest()


def _checkpoints(task: Task, members: int, every: int | None) -> tuple[int, ...]:
    """Return the steps after every so many epochs, without the last step, which is no checkpoint but the end."""
    if every is None:
        return ()
    if not isinstance(task.recipe, Recipe):
        raise UserError("checkpoint_every needs a Recipe: a function of your own trains in one piece")
    stride = every * task.recipe.steps_per_epoch(members)
    return tuple(range(stride, task.recipe.steps(members), stride))


def membership(
    planting: Planted, settings: Settings, target: Target | None, is_certified: bool = False
) -> Bool[np.ndarray, "models samples"]:
    """Return who is trained on what; held-out samples are false in every row, canaries are the last columns.

    With a target, models are trained on its members and non-members, so that attacks on it have references. What stands
    equally often in a training set is divided in halves by itself, so that all models are trained on as many samples.
    Groups and copies of one sample are in one half, or held out, together. Where the training `is_certified`, coins
    decide instead of halves, so that what is attacked is what is guaranteed: one record more or less.
    """
    whole = len(planting.samples)
    member = np.zeros((settings.models, whole), dtype=bool)
    _check_groups(planting, target)
    if not settings.models:
        return member
    groups, plain = planting.together, whole - planting.canaries
    may = np.zeros(whole, dtype=bool)
    may[_trainable_rows(plain, settings, target, None if groups is None else groups[:plain])] = True
    may[plain:] = True
    generator, divide = seeds.generator(settings.options.seed, "membership"), by_coins if is_certified else halves
    for often in np.unique(planting.repeats[planting.repeats > 0]):
        for rows in _divided(may & (planting.repeats == often), plain, groups):
            part = None if groups is None else groups[rows]
            member[:, rows] = divide(settings.models, len(rows), generator, part)
    return member


def _divided(may: np.ndarray, plain: int, groups: np.ndarray | None) -> list[Int[np.ndarray, " rows"]]:
    """Return the rows that are divided in halves: canaries apart from the others where these come in groups."""
    rows = np.flatnonzero(may)
    parts = [rows] if groups is None else [rows[rows < plain], rows[rows >= plain]]
    return [each for each in parts if len(each)]


def _check_groups(planting: Planted, target: Target | None) -> None:
    """Raise `UserError` for groups that say nothing, and for groups in both members and non-members."""
    groups = planting.plain.groups
    if groups is None:
        return
    require_groups(groups)
    if target is not None:
        require_apart(groups, target.members, target.non_members, "members and non-members")
        is_known = target.known(len(groups))
        apart = (np.flatnonzero(is_known), np.flatnonzero(~is_known))
        require_apart(groups, *apart, "members or non-members and the others, which are held out")


def _trainable_rows(
    samples: int, settings: Settings, target: Target | None, groups: np.ndarray | None
) -> Int[np.ndarray, " rows"]:
    options = settings.options
    pool = np.arange(samples) if target is None else np.flatnonzero(target.known(samples))
    part = None if groups is None else groups[pool]
    if samples - len(pool) >= SPARE:
        even = pool[: len(pool) // 2 * 2]
        return even if part is None else pool[halvable(part, seeds.generator(options.seed, "held out"))]
    rows, _ = hold_out(len(pool), options.held_out, seeds.generator(options.seed, "held out"), part)
    return pool[rows]
