"""From saved tables to a document again, by the functions that the audit itself used.

What the tables do not determine is taken from the document as it stands: what was asked for, where it ran, the data,
and the classifier that never saw the model.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from quantmis.analysis import AnalysisSettings, SubjectAnalysis, analyse, findings
from quantmis.analysis.agreement import agreement
from quantmis.analysis.controls import controls
from quantmis.analysis.descriptions import descriptions
from quantmis.analysis.scoring import each_other, trained_models
from quantmis.attacks import ATTACKS
from quantmis.registry import spelling
from quantmis.results import BlindBaseline, Config, Data, Results, TargetResult, VersionResult
from quantmis.results.document import NO_TARGET, SEE_DOCUMENT
from quantmis.stats import Unmeasured
from quantmis.tables import LossTable, slug
from quantmis.tables.forgetting import BEFORE, RETRAINED
from quantmis.tables.saved import Damaged, read_table

NOISE = "matched noise, "
IDENTITY = "identity"
BY_CHANCE = 0.5


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


def _read_at(path: Path, label: str, name: str, saved: Saved, tables: list[LossTable]) -> None:
    try:
        tables.append(read_table(path, name, "target" if tables is saved.this_model else "models"))
    except Damaged as why:
        saved.damaged.append(f"{label} {why}")


def unnamed(folder: Path, results: Results) -> list[str]:
    """Return a line for each table in the folder that the document does not name."""
    targets = results.target.versions if isinstance(results.target, TargetResult) else []
    noises = [f"matched_noise(of={each.version})" for each in results.controls if each.name.startswith(NOISE)]
    names = {record.table for record in [*results.versions, *targets]} | {f"tables/{slug(each)}.npz" for each in noises}
    paths = sorted(path.relative_to(folder).as_posix() for path in (folder / "tables").rglob("*.npz"))
    return [f"{path}: results.json names no such table" for path in paths if path not in names]


def settings_of(results: Results, saved: Saved) -> AnalysisSettings:
    """Return what the audit was asked to do, as far as numbers depend on it; no more models than the tables have."""
    config = results.config
    leading = (saved.algorithm or saved.this_model)[0]
    planted = leading.is_canary if leading.repeats is None else leading.is_canary & (leading.repeats == 1)
    return AnalysisSettings(
        attacks=tuple(ATTACKS.parse(name) for name in config.attacks),
        shadows=min(config.shadows, _trained(saved)),
        replicates=min(config.replicates, _trained(saved)),
        seed=config.seed,
        level=config.level,
        canaries=int(planted.sum()) if saved.algorithm else 0,
        release=None if config.release is None else tuple(map(tuple, config.release)),
    )


def _trained(saved: Saved) -> int:
    return len(saved.algorithm[0].evidence.member) if saved.algorithm else 0


def recompute(results: Results, saved: Saved) -> Results:
    """Return the document that the tables give; `UserError` for an attack that is not installed.

    What they do not determine, the parts in `quantmis.verify.unchecked`, is as in `results`.
    """
    settings = settings_of(results, saved)
    algorithm = analyse(saved.algorithm, each_other(saved.algorithm), settings)
    this_model = analyse(saved.this_model, trained_models(saved.algorithm, _like(saved)), settings)
    leading = algorithm if algorithm.tables else this_model
    versions, ranking = list(leading.records), leading.ranking(settings.level)
    agreements = agreement(versions, settings.level) if saved.algorithm else []
    tested = controls(leading.tables, saved.noises, settings)
    data, target = _data(results, leading), _target(results, this_model, algorithm, settings)
    subjects = (algorithm, this_model)
    return results.model_copy(
        update={
            "config": _config(results, settings, saved),
            "attacks": descriptions(settings.attacks),
            "versions": versions,
            "ranking": ranking,
            "agreement": agreements,
            "controls": tested,
            "data": data,
            "target": target,
            "releases": list(leading.releases),
            "warnings": findings.find(versions, tested, agreements, settings, {}, [], data, target, subjects),
        }
    )


def _like(saved: Saved) -> dict[str, str | None]:
    """Return the quantizer that each version of the target resembles, as its table says."""
    return {table.name: table.origin["like"] or None for table in saved.this_model if "like" in table.origin}


def _config(results: Results, settings: AnalysisSettings, saved: Saved) -> Config:
    """Return what was asked for, as far as it shows in the tables."""
    models = _trained(saved)
    update: dict[str, object] = {
        "depth": settings.depth,
        "quantizers": _quantizers(saved),
        "attacks": settings.attack_names,
        "lead_attack": spelling(settings.lead_attack),
        "shadows": settings.shadows,
        "replicates": settings.replicates,
    }
    if max(settings.shadows, settings.replicates) != models:
        largest = "shadows" if settings.shadows >= settings.replicates else "replicates"
        update[largest] = models
    return results.config.model_copy(update=update)


def _quantizers(saved: Saved) -> list[str]:
    """Return the quantizers of the audit: all tables of trained models, or those of the target that it made itself."""
    if saved.algorithm:
        return [table.name for table in saved.algorithm]
    original, *others = saved.this_model
    own = [table.name for table in others if "file" not in table.origin]
    return [IDENTITY, *(name.removesuffix(f" of the {original.name}") for name in own)]


def _data(results: Results, leading: SubjectAnalysis) -> Data:
    table = leading.tables[0]
    audited, label = int(table.is_audited.sum()), table.evidence.label
    own = ~table.is_canary if table.about == "models" else np.ones_like(table.is_audited)
    return results.data.model_copy(
        update={
            "samples": audited,
            "held_out": int(own.sum()) - audited - _forgotten(table),
            "members_per_model": int(table.evidence.member[0].sum()),
            "classes": None if label is None else len(np.unique(label[own])),
        }
    )


def _forgotten(table: LossTable) -> int:
    return 0 if table.forgetting is None else int(table.forgetting.is_forget.sum())


def _target(
    results: Results, this_model: SubjectAnalysis, algorithm: SubjectAnalysis, settings: AnalysisSettings
) -> TargetResult | Unmeasured:
    target = results.target
    if isinstance(target, Unmeasured) or not this_model.tables:
        return NO_TARGET
    original, *others = this_model.tables
    apart = bool(algorithm.tables)
    files = {table.name: table.origin["file"] for table in others if table.origin.get("file")}
    return target.model_copy(
        update={
            "name": original.origin.get("name", ""),
            "digest": original.traits[0].fingerprint,
            "file": original.origin.get("file", ""),
            "files": files,
            "members": int(original.evidence.member[0].sum()),
            "non_members": int(original.is_held_out.sum()),
            "blind": _blind(target.blind),
            "forget": _forgotten(original),
            "before": original.origin.get(BEFORE, ""),
            "retrained": original.origin.get(RETRAINED, ""),
            "forget_blind": None if target.forget_blind is None else _blind(target.forget_blind),
            "versions": list(this_model.records) if apart else [],
            "ranking": this_model.ranking(settings.level) if apart else SEE_DOCUMENT,
            "releases": list(this_model.releases) if apart else [],
        }
    )


def _blind(blind: BlindBaseline | Unmeasured) -> BlindBaseline | Unmeasured:
    """Return the blind baseline with what follows from its AUC."""
    if isinstance(blind, Unmeasured) or isinstance(blind.auc, Unmeasured):
        return blind
    return blind.model_copy(update={"differs": blind.auc.low > BY_CHANCE})
