"""Attack every loss table: which models are the attacker's own, and what the attacks make of a version together."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from quantmis.analysis.settings import AnalysisSettings
from quantmis.attacks import Attack
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.measures import ScoredVersion
from quantmis.measures.scored import Attempts, Scores
from quantmis.registry import spelling
from quantmis.stats import Bound, Unmeasured, security_upper_bound
from quantmis.tables import LossTable

NO_REFERENCES = "the attack uses no reference models: adaptive and transfer are one"
FULL_PRECISION_ITSELF = "the target is in full precision itself: adaptive and transfer are one"
NO_REFERENCE_MODELS = "needs reference models, which an audit without training does not have"
NOT_LIKE_THIS = "no reference model was quantized like this version: say which quantizer it is `like`"


@dataclass(frozen=True, eq=False)
class References:
    """Hold the attacker's own models: `adaptive` went through the target's quantizer, `transfer` are full precision.

    None of `adaptive` stands for the other rows of the target's own table, where it holds the models of the audit.
    """

    adaptive: Evidence | Unmeasured | None = None
    transfer: Evidence | None = None


ReferencesOf = Callable[[LossTable], References]


def each_other(tables: Sequence[LossTable]) -> ReferencesOf:
    """Return, for trained models, the other rows of their own table, and full precision for transfer."""

    def references(table: LossTable) -> References:
        return References(None, None if table is tables[0] else tables[0].audited)

    return references


def trained_models(tables: Sequence[LossTable], like: Mapping[str, str | None]) -> ReferencesOf:
    """Return the attacker's own models for each version of a target, among the `tables` of trained models.

    They are those of the quantizer of the version's name, or of the one that it is `like`.
    """
    by_name = {each.name: each for each in tables}

    def references(table: LossTable) -> References:
        if not tables:
            return References(adaptive=Unmeasured(NO_REFERENCE_MODELS))
        columns, own = np.flatnonzero(table.is_audited), by_name.get(like.get(table.name, table.name) or "")
        return References(
            adaptive=Unmeasured(NOT_LIKE_THIS) if own is None else own.evidence.columns(columns),
            transfer=None if own is tables[0] else tables[0].evidence.columns(columns),
        )

    return references


@dataclass(frozen=True, eq=False)
class Attacked:
    """Hold the attacks on one version, adaptive and as transfer, each carried out when it is asked for."""

    table: LossTable
    adaptive: Attempts
    transfer: Attempts
    settings: AnalysisSettings

    def bound(self) -> Bound:
        """Return the bound on security that the attacks give."""
        return _bound(self.table, self.settings, self.adaptive, self.transfer)

    def scored(self, bound: Bound, full_precision: ScoredVersion | None, ids: np.ndarray | None) -> ScoredVersion:
        """Return the scored version with this bound; without `full_precision` it is that itself."""
        return ScoredVersion(
            self.table,
            self.adaptive,
            self.transfer,
            bound,
            spelling(self.settings.lead_attack),
            self.settings.precision,
            full_precision,
            ids,
            frozenset(spelling(attack) for attack in self.settings.attacks if attack.uses_references),
            frozenset(spelling(attack) for attack in self.settings.attacks if not attack.bounds_security),
        )


def attacked(table: LossTable, references: References, settings: AnalysisSettings) -> Attacked:
    """Return the attacks on one version, of which none is carried out yet."""
    own = None if isinstance(references.adaptive, Unmeasured) else references.adaptive
    adaptive = _attempts(table, own, settings, partial(_why_not_adaptive, references))
    transfer = _attempts(table, references.transfer, settings, partial(_why_not_transfer, references))
    return Attacked(table, adaptive, transfer, settings)


def score(
    table: LossTable,
    references: References,
    settings: AnalysisSettings,
    full_precision: ScoredVersion | None = None,
    ids: np.ndarray | None = None,
) -> ScoredVersion:
    """Attack one version, adaptive and as transfer; without `full_precision` it is that itself."""
    attacks = attacked(table, references, settings)
    return attacks.scored(attacks.bound(), full_precision, ids)


def _attempts(
    table: LossTable,
    reference: Evidence | None,
    settings: AnalysisSettings,
    why_not: Callable[[Attack], Unmeasured | None],
) -> Attempts:
    attacks = {spelling(attack): attack for attack in settings.attacks}
    out_of_question = {name: why for name, attack in attacks.items() if (why := why_not(attack)) is not None}
    return Attempts(
        tuple(attacks), lambda name: _scores(attacks[name], table, reference), out_of_question, table.about != "models"
    )


def _why_not_adaptive(references: References, attack: Attack) -> Unmeasured | None:
    if attack.uses_references and isinstance(references.adaptive, Unmeasured):
        return references.adaptive
    return None


def _why_not_transfer(references: References, attack: Attack) -> Unmeasured | None:
    if not attack.uses_references:
        return Unmeasured(NO_REFERENCES)
    if references.transfer is not None:
        return None
    return references.adaptive if isinstance(references.adaptive, Unmeasured) else Unmeasured(FULL_PRECISION_ITSELF)


def _scores(attack: Attack, table: LossTable, reference: Evidence | None) -> Scores | Unmeasured:
    """Attack; on the one model that was given, an attack that cannot be carried out says why."""
    if table.about == "models":
        return attack.score(table.audited, reference)
    try:
        return attack.score(table.audited, reference)
    except UserError as error:
        return Unmeasured(str(error))


def _bound(table: LossTable, settings: AnalysisSettings, *forms: Mapping[str, Scores | Unmeasured]) -> Bound:
    bounding = {spelling(attack) for attack in settings.attacks if attack.bounds_security}
    scores_by_name = {
        name + suffix: scores
        for form, suffix in zip(forms, ("", " (transfer)"), strict=True)
        for name, scores in form.items()
        if name in bounding and not isinstance(scores, Unmeasured)
    }
    if not scores_by_name:
        return Bound(Unmeasured("no attack of this audit bounds security"), "")
    member, groups = table.audited.member, table.audited_groups
    return security_upper_bound(scores_by_name, member, settings.level, settings.seed, groups)
