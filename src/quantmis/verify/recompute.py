"""From saved tables to a document again, by the functions that the audit itself used.

What the tables do not determine is taken from the document as it stands: what was asked for, where it ran, the data,
and the classifier that never saw the model.
"""

from dataclasses import dataclass, field
from pathlib import Path

from quantmis.attacks import ATTACKS
from quantmis.analysis import ranking as comparison
from quantmis.analysis import findings
from quantmis.audit.run import control
from quantmis.audit.options import Settings
from quantmis.analysis.subject import Side, each_other, measure
from quantmis.tables.loss_table import Table, slug
from quantmis.audit.target.versions import references_among
from quantmis.results import Data, VersionResult, Results, Target
from quantmis.stats import Unmeasured
from quantmis.tables.saved import Damaged, read_table

NOISE = "matched noise, "


@dataclass(frozen=True, eq=False)
class Saved:
    """Hold the tables of an audit by side, and what is wrong with those that are not as they were written."""

    procedure: list[Table] = field(default_factory=list[Table])
    this_model: list[Table] = field(default_factory=list[Table])
    noises: list[Table] = field(default_factory=list[Table])
    damaged: list[str] = field(default_factory=list[str])


def read_tables(folder: Path, results: Results) -> Saved:
    """Return every table that the document names; one that is not of its digest is named as damaged."""
    saved, alone = Saved(), results.config.depth == "as-is"
    for record in results.quantizers:
        _read(folder, record, saved, saved.this_model if alone else saved.procedure)
    for record in results.target.versions if isinstance(results.target, Target) else []:
        _read(folder, record, saved, saved.this_model)
    for each in results.controls:
        if each.name.startswith(NOISE):
            name = f"matched_noise(of={each.quantizer})"
            _read_at(folder / "tables" / f"{slug(name)}.npz", f"tables/{slug(name)}.npz", name, saved, saved.noises)
    return saved


def _read(folder: Path, record: VersionResult, saved: Saved, side: list[Table]) -> None:
    inside = folder / "tables" / ("target" if side is saved.this_model else "") / f"{slug(record.name)}.npz"
    if record.table != inside.relative_to(folder).as_posix():
        saved.damaged.append(f"results.json names {record.table[:80]!r} as the table of {record.name}")
        return
    before = len(side)
    _read_at(inside, record.table, record.name, saved, side)
    if len(side) > before and side[-1].digest() != record.table_digest:
        saved.damaged.append(f"{record.table} is not the table that results.json was computed from")


def _read_at(path: Path, shown: str, name: str, saved: Saved, side: list[Table]) -> None:
    try:
        side.append(read_table(path, name, "target" if side is saved.this_model else "models"))
    except Damaged as why:
        saved.damaged.append(f"{shown} {why}")


def unnamed(folder: Path, results: Results) -> list[str]:
    """Return a line for each table in the folder that the document does not name."""
    targets = results.target.versions if isinstance(results.target, Target) else []
    noises = [f"matched_noise(of={each.quantizer})" for each in results.controls if each.name.startswith(NOISE)]
    named = {record.table for record in [*results.quantizers, *targets]} | {
        f"tables/{slug(each)}.npz" for each in noises
    }
    found = sorted(path.relative_to(folder).as_posix() for path in (folder / "tables").rglob("*.npz"))
    return [f"{path}: results.json names no such table" for path in found if path not in named]


def settings_of(results: Results, saved: Saved) -> Settings:
    """Return what the audit was asked to do, as far as numbers depend on it."""
    config = results.config
    leading = (saved.procedure or saved.this_model)[0]
    planted = leading.is_canary if leading.repeats is None else leading.is_canary & (leading.repeats == 1)
    canaries = int(planted.sum()) if saved.procedure else 0
    return Settings(
        quantizers=(),
        attacks=tuple(ATTACKS.parse(name) for name in config.attacks),
        shadows=config.shadows,
        replicates=config.replicates,
        held_out=0.0,
        seed=config.seed,
        level=config.level,
        checkpoint_every=None,
        keep_weights=False,
        canaries=canaries,
        engine="auto",
        executor="local",
    )


def recompute(results: Results, saved: Saved) -> Results:
    """Return the document that the tables give; `UserError` for an attack that is not installed."""
    settings = settings_of(results, saved)
    procedure = measure(saved.procedure, each_other(saved.procedure), settings)
    own = measure(saved.this_model, references_among(saved.procedure, {}), settings)
    side = procedure if procedure.tables else own
    agreement = comparison.agreement(side.described, settings.level) if saved.procedure else []
    controls = control(side.tables, saved.noises, settings)
    data, target = _data(results, side), _target(results, own, procedure, settings)
    told = list(side.described)
    return results.model_copy(
        update={
            "quantizers": told,
            "ranking": side.ranking(settings.level),
            "agreement": agreement,
            "controls": controls,
            "data": data,
            "target": target,
            "warnings": findings.find(told, controls, agreement, settings, None, [], data, target),
        }
    )


def _data(results: Results, side: Side) -> Data:
    table = side.tables[0]
    return results.data.model_copy(
        update={
            "samples": int(table.is_audited.sum()),
            "members_per_model": int(table.evidence.member[0].sum()),
        }
    )


def _target(results: Results, own: Side, procedure: Side, settings: Settings) -> Target | Unmeasured:
    given = results.target
    if isinstance(given, Unmeasured) or not own.tables:
        return given
    evidence = own.tables[0].evidence
    told: dict[str, object] = {"members": int(evidence.member[0].sum())}
    if procedure.tables:
        told |= {"versions": list(own.described), "ranking": own.ranking(settings.level)}
    return given.model_copy(update=told)
