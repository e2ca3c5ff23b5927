"""An audit of loss tables that another framework computed: the whole document, without a model of PyTorch.

A table of one row is the very model, and all is measured as it is; tables of several models are those of a training
algorithm, which attack each other. What only a model shows (bits, weights, noise on them) is left out with its reason.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from quantmis.analysis import AnalysisSettings, analyse, findings
from quantmis.analysis.agreement import agreement
from quantmis.analysis.controls import controls
from quantmis.analysis.descriptions import descriptions
from quantmis.analysis.scoring import each_other, trained_models
from quantmis.attacks import Attack, PairedReplicates
from quantmis.audit import document
from quantmis.audit.checks import check_attacks, check_folder
from quantmis.audit.execution.collect import Collected
from quantmis.audit.execution.store import locked
from quantmis.audit.released import released_of
from quantmis.audit.request import Declared
from quantmis.audit.result import AuditResult
from quantmis.audit.run import write
from quantmis.audit.settings import Models, attacks_of
from quantmis.audit.target.blind_baseline import FOLDS, blind_scores
from quantmis.data import Samples
from quantmis.errors import require
from quantmis.evidence import NO_TWIN, Evidence
from quantmis.models import SquaredError
from quantmis.registry import spelling
from quantmis.results import BlindBaseline, Config, Data, Reproduce, Results, TargetResult
from quantmis.results.document import NO_TARGET, SEE_DOCUMENT
from quantmis.results.seal import sealed
from quantmis.stats import Unmeasured
from quantmis.tables import FULL_PRECISION, LossTable, VersionTraits

FEWEST_SHADOWS = 8
"""Models with which the attacks that need shadow models are run."""

NO_FEATURES = "only losses were given, so nobody looked whether members differ from non-members by themselves"
LOSSES = "given as a table"


@dataclass(frozen=True, eq=False)
class GivenTables:
    """Hold the tables by version, how they are analysed, what the model is called, the inputs, and what is declared."""

    tables: list[LossTable]
    settings: AnalysisSettings
    name: str
    features: np.ndarray | None
    declared: Declared = field(default_factory=Declared)

    @property
    def first(self) -> LossTable:
        """The table of full precision."""
        return self.tables[0]


def audit_tables(
    versions: Mapping[str, Evidence],
    utility: Mapping[str, np.ndarray] | None = None,
    *,
    features: np.ndarray | None = None,
    attacks: Sequence[str | Attack] | None = None,
    name: str = "the model",
    level: float = 0.95,
    seed: int = 0,
    release: Sequence[Sequence[str]] | None = None,
    out: str | Path | None = None,
) -> AuditResult:
    """Audit the versions of a model by their losses alone, of any framework: attacks, intervals, ranking and report.

    `versions`: a table of losses for each version, all over the same models and samples, the first of them full
    precision, called "identity". One row is the very model, and samples that it was not trained on measure its
    utility; of several rows each is a model of the same training algorithm, best in complementary pairs, and samples
    that none was trained on are held out. `utility` [models, samples] of each version: what predictions are worth, 1
    for right and 0 for wrong. `features` [samples, ...]: the inputs of one model's samples, by which it is seen
    whether members differ from non-members by themselves. `release`: names of versions that are published together,
    a list for each set; by default all are. `out`: a folder for results.json, the report, the tables.

    Raises `UserError` for tables that do not belong together, and for attacks that they cannot carry.

    >>> draw, member = np.random.default_rng(0), np.arange(400)[None] < 200
    >>> full = Evidence(draw.exponential(size=(1, 400)) * np.where(member, 0.3, 1.0), member)
    >>> audit_tables({"identity": full, "int8": full}).versions["int8"]["attack_accuracy"].low > 0.6
    True
    """
    given = given_tables(versions, utility or {}, features, attacks, name, AnalysisOptions(level, seed, release))
    return audit_given(given, None if out is None else Path(out))


@dataclass(frozen=True)
class AnalysisOptions:
    """Hold the level of every interval, the seed of all that is drawn, and what is published together."""

    level: float = 0.95
    seed: int = 0
    release: Sequence[Sequence[str]] | None = None


def given_tables(
    versions: Mapping[str, Evidence],
    worths: Mapping[str, np.ndarray],
    features: np.ndarray | None,
    attacks: Sequence[str | Attack] | None,
    name: str,
    options: AnalysisOptions,
) -> GivenTables:
    """Return what `audit_tables` was given, once it belongs together and its attacks can be carried out."""
    _require_alike(versions, worths)
    full = next(iter(versions.values()))
    require(0 < options.level < 1, f"level: expected a probability between 0 and 1, got {options.level}")
    tables = [_table(each, evidence, worths.get(each)) for each, evidence in versions.items()]
    tables[0] = replace(tables[0], origin={**tables[0].origin, "name": name, "file": ""} if full.models == 1 else {})
    given = GivenTables(tables, _settings(full, attacks, options, list(versions)), name, features)
    if full.models > 1:
        check_attacks(given.settings.attacks, options.seed, full.member, tuple(full.named))
    return given


def audit_given(given: GivenTables, out: Path | None) -> AuditResult:
    """Return the audit of tables, and write it where there is a folder for it."""
    if out is None:
        return AuditResult(_document(given))
    check_folder(out)
    with locked(out):
        result = AuditResult(_document(given))
        write(result.document, given.tables, out)
    return result


def _require_alike(versions: Mapping[str, Evidence], worths: Mapping[str, np.ndarray]) -> None:
    """Raise `UserError` unless all tables are of the same models and samples, full precision first."""
    hint = 'the first table is that of the model in full precision: {"identity": full, "int8": quantized}'
    require(list(versions)[:1] == [FULL_PRECISION], f"versions: there is no first table {FULL_PRECISION!r}", hint=hint)
    full = versions[FULL_PRECISION]
    for name, each in versions.items():
        same = each.losses.shape == full.losses.shape and bool((each.member == full.member).all())
        require(
            same,
            f"{name}: its models and samples are not those of {FULL_PRECISION}",
            hint="every version is computed by the same models on the same samples, in one order",
        )
    for name, worth in worths.items():
        known = name in versions and np.shape(worth) == full.losses.shape
        hint = f"utility has, for names of versions, what each of {full.models} models gets at {full.samples} samples"
        require(known, f"utility: {name!r} of shape {np.shape(worth)} is of no version", hint=hint)
        finite = bool(np.isfinite(np.asarray(worth, dtype=float)).all())
        require(finite, f"utility: {name!r} holds NaN or infinity")


def _settings(
    full: Evidence, attacks: Sequence[str | Attack] | None, options: AnalysisOptions, names: list[str]
) -> AnalysisSettings:
    """Return how such tables are analysed: as deep as their rows allow."""
    rows = 0 if full.models == 1 else full.models
    models = Models(rows if rows >= FEWEST_SHADOWS else 0, rows)
    signals = () if rows else (*(["modified_entropy"] if full.entropy is not None else []), *full.named)
    chosen = attacks_of(attacks, models, SquaredError(), signals)
    twins = full.columns(np.any(full.member, axis=0)).twin
    if attacks is None and models.shadows and (twins == NO_TWIN).any():
        chosen = tuple(each for each in chosen if not isinstance(each, PairedReplicates))
    sets = None if options.release is None else released_of(options.release, [names])
    return AnalysisSettings(chosen, models.shadows, models.replicates, options.seed, options.level, release=sets)


def _table(name: str, evidence: Evidence, worth: np.ndarray | None) -> LossTable:
    """Return the table of a version: of one model non-members measure the utility, of several the held-out samples."""
    alone, trained_on = evidence.models == 1, np.any(evidence.member, axis=0)
    digests = [hashlib.sha256(np.ascontiguousarray(row).tobytes()).hexdigest() for row in evidence.losses]
    return LossTable(
        name=name,
        evidence=evidence,
        per_sample_utility=None if worth is None else np.asarray(worth, dtype=np.float32),
        earlier=None,
        metric="accuracy" if worth is not None and np.isin(worth, (0, 1)).all() else "utility",
        traits=tuple(VersionTraits(each, None, None, None, []) for each in digests),
        is_audited=np.ones(evidence.samples, dtype=bool) if alone else trained_on,
        is_held_out=~trained_on,
        about="target" if alone else "models",
        origin={"like": ""} if alone else {},
    )


def _document(given: GivenTables) -> Results:
    clock, settings, tables = document.Clock(), given.settings, given.tables
    alone = given.first.about == "target"
    with clock.timed("attack"):
        subject = analyse(tables, trained_models([], {}) if alone else each_other(tables), settings)
        tested = controls(tables, [], settings)
    records, data = list(subject.records), _data(given)
    agreements = [] if alone else agreement(records, settings.level)
    target = _target(given) if alone else NO_TARGET
    return sealed(
        Results(
            config=_config(given),
            environment=clock.environment(None, Collected(), torch.device("cpu")),
            data=data,
            attacks=descriptions(settings.attacks),
            versions=records,
            ranking=subject.ranking(settings.level),
            agreement=agreements,
            controls=tested,
            warnings=findings.find(records, tested, agreements, settings, {}, [], data, target, (subject,)),
            reproduce=Reproduce(command="", python="qm.audit_tables(versions)  # the tables beside this document"),
            target=target,
            releases=list(subject.releases),
        )
    )


def _config(given: GivenTables) -> Config:
    settings = given.settings
    return Config(
        model=given.name,
        loss=LOSSES,
        recipe={},
        seed=settings.seed,
        depth=settings.depth,
        shadows=settings.shadows,
        replicates=settings.replicates,
        quantizers=[table.name for table in given.tables],
        attacks=settings.attack_names,
        lead_attack=spelling(settings.lead_attack),
        level=settings.level,
        release=None if settings.release is None else [list(each) for each in settings.release],
        auditor=given.declared.auditor,
        release_context=given.declared.release_context,
    )


def _data(given: GivenTables) -> Data:
    table, label = given.first, given.first.evidence.label
    digest = hashlib.sha256(table.evidence.member.tobytes() + np.ascontiguousarray(table.evidence.losses).tobytes())
    return Data(
        samples=int(table.is_audited.sum()),
        held_out=table.evidence.samples - int(table.is_audited.sum()),
        members_per_model=int(table.evidence.member[0].sum()),
        features=[] if given.features is None else list(np.shape(given.features)[1:]),
        classes=None if label is None else len(np.unique(label)),
        digest=digest.hexdigest(),
        notes=("losses that were computed elsewhere",),
        groups=None if table.groups is None else len(np.unique(table.groups)),
    )


def _target(given: GivenTables) -> TargetResult:
    member = given.first.evidence.member[0]
    return TargetResult(
        name=given.name,
        digest=given.first.traits[0].fingerprint,
        members=int(member.sum()),
        non_members=int((~member).sum()),
        blind=_blind(given),
        versions=[],
        ranking=SEE_DOCUMENT,
    )


def _blind(given: GivenTables) -> BlindBaseline | Unmeasured:
    """Return whether members differ from non-members by themselves, where the inputs were given too."""
    table = given.first
    if given.features is None:
        return Unmeasured(NO_FEATURES)
    member, label = table.evidence.member[0], table.evidence.label
    few = min(int(member.sum()), int((~member).sum())) < FOLDS
    if few:
        return Unmeasured(f"there are fewer than {FOLDS} members or non-members")
    samples = Samples(given.features, np.arange(len(member)) % 2 if label is None else label)
    require(len(samples) == len(member), f"features: expected {len(member)} samples, got {len(samples)}")
    scores = blind_scores(samples, label, member, given.settings.seed, table.audited_groups)
    return scores.baseline(given.settings.level)
