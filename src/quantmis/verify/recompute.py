"""From saved tables to a document again, by the functions that the audit itself used.

What the tables do not determine is taken from the document as it stands: what was asked for, where it ran, the data,
and the classifier that never saw the model.
"""

from dataclasses import dataclass, field
from pathlib import Path

from quantmis.analysis import AnalysisSettings, SubjectAnalysis, analyse, findings
from quantmis.analysis.agreement import agreement
from quantmis.analysis.controls import controls
from quantmis.analysis.descriptions import descriptions
from quantmis.analysis.scoring import each_other, trained_models
from quantmis.attacks import ATTACKS
from quantmis.results import Data, Results, TargetResult, VersionResult
from quantmis.stats import Unmeasured
from quantmis.tables import LossTable, slug
from quantmis.tables.saved import Damaged, read_table

NOISE = "matched noise, "


@dataclass(frozen=True, eq=False)
class Saved:
    """Hold the tables of an audit by subject, and what is wrong with those that are not as they were written."""

    algorithm: list[LossTable] = field(default_factory=list[LossTable])
    this_model: list[LossTable] = field(default_factory=list[LossTable])
    noises: list[LossTable] = field(default_factory=list[LossTable])
    damaged: list[str] = field(default_factory=list[str])


def read_tables(folder: Path, results: Results) -> Saved:
    """Return every table that the document names; one that is not of its digest is named as damaged."""
    saved, alone = Saved(), results.config.depth == "as-is"
    for record in results.versions:
        _read(folder, record, saved, saved.this_model if alone else saved.algorithm)
    for record in results.target.versions if isinstance(results.target, TargetResult) else []:
        _read(folder, record, saved, saved.this_model)
    for each in results.controls:
        if each.name.startswith(NOISE):
            name = f"matched_noise(of={each.version})"
            _read_at(folder / "tables" / f"{slug(name)}.npz", f"tables/{slug(name)}.npz", name, saved, saved.noises)
    return saved


def _read(folder: Path, record: VersionResult, saved: Saved, tables: list[LossTable]) -> None:
    inside = folder / "tables" / ("target" if tables is saved.this_model else "") / f"{slug(record.name)}.npz"
    if record.table != inside.relative_to(folder).as_posix():
        saved.damaged.append(f"results.json names {record.table[:80]!r} as the table of {record.name}")
        return
    before = len(tables)
    _read_at(inside, record.table, record.name, saved, tables)
    if len(tables) > before and tables[-1].digest() != record.table_digest:
        saved.damaged.append(f"{record.table} is not the table that results.json was computed from")


def _read_at(path: Path, shown: str, name: str, saved: Saved, tables: list[LossTable]) -> None:
    try:
        tables.append(read_table(path, name, "target" if tables is saved.this_model else "models"))
    except Damaged as why:
        saved.damaged.append(f"{shown} {why}")


def unnamed(folder: Path, results: Results) -> list[str]:
    """Return a line for each table in the folder that the document does not name."""
    targets = results.target.versions if isinstance(results.target, TargetResult) else []
    noises = [f"matched_noise(of={each.version})" for each in results.controls if each.name.startswith(NOISE)]
    named = {record.table for record in [*results.versions, *targets]} | {f"tables/{slug(each)}.npz" for each in noises}
    found = sorted(path.relative_to(folder).as_posix() for path in (folder / "tables").rglob("*.npz"))
    return [f"{path}: results.json names no such table" for path in found if path not in named]


def settings_of(results: Results, saved: Saved) -> AnalysisSettings:
    """Return what the audit was asked to do, as far as numbers depend on it."""
    config = results.config
    leading = (saved.algorithm or saved.this_model)[0]
    planted = leading.is_canary if leading.repeats is None else leading.is_canary & (leading.repeats == 1)
    return AnalysisSettings(
        attacks=tuple(ATTACKS.parse(name) for name in config.attacks),
        shadows=config.shadows,
        replicates=config.replicates,
        seed=config.seed,
        level=config.level,
        canaries=int(planted.sum()) if saved.algorithm else 0,
    )


def recompute(results: Results, saved: Saved) -> Results:
    """Return the document that the tables give; `UserError` for an attack that is not installed."""
    settings = settings_of(results, saved)
    algorithm = analyse(saved.algorithm, each_other(saved.algorithm), settings)
    this_model = analyse(saved.this_model, trained_models(saved.algorithm, {}), settings)
    leading = algorithm if algorithm.tables else this_model
    versions, ranking = list(leading.records), leading.ranking(settings.level)
    agreements = agreement(versions, settings.level) if saved.algorithm else []
    tested = controls(leading.tables, saved.noises, settings)
    data, target = _data(results, leading), _target(results, this_model, algorithm, settings)
    subjects = (algorithm, this_model)
    return results.model_copy(
        update={
            "attacks": descriptions(settings.attacks),
            "versions": versions,
            "ranking": ranking,
            "agreement": agreements,
            "controls": tested,
            "data": data,
            "target": target,
            "warnings": findings.find(versions, tested, agreements, settings, {}, [], data, target, subjects),
        }
    )


def _data(results: Results, leading: SubjectAnalysis) -> Data:
    table = leading.tables[0]
    counts = {"samples": int(table.is_audited.sum()), "members_per_model": int(table.evidence.member[0].sum())}
    return results.data.model_copy(update=counts)


def _target(
    results: Results, this_model: SubjectAnalysis, algorithm: SubjectAnalysis, settings: AnalysisSettings
) -> TargetResult | Unmeasured:
    target = results.target
    if isinstance(target, Unmeasured) or not this_model.tables:
        return target
    computed: dict[str, object] = {"members": int(this_model.tables[0].evidence.member[0].sum())}
    if algorithm.tables:
        computed |= {"versions": list(this_model.records), "ranking": this_model.ranking(settings.level)}
    return target.model_copy(update=computed)
