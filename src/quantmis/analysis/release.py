"""What several versions give away together: the joint attacks, what they gain, and what each version adds.

Whoever trained models of his own learns from them how to weigh versions and attacks: of models that attack each other,
from the other pairs of twins; against a target, from the attacker's own models. Of a single model without any other the
weights are learned on half of the samples and used on the other half. The strongest single version that a set is held
against may be attacked by all that there is for one version, a stack of these attacks included: what is gained is
gained by having several versions.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from jaxtyping import Bool, Shaped

from quantmis.analysis.scoring import References
from quantmis.analysis.settings import AnalysisSettings
from quantmis.attacks import Attack
from quantmis.errors import UserError
from quantmis.evidence import Evidence
from quantmis.joint import DIFFERENCES, JOINT_LIRA, MEAN, STACKED, Features, JointLikelihoodRatio, aligned
from quantmis.joint.stacked import from_references, over_pairs, over_samples
from quantmis.measures import ScoredRelease, ScoredVersion
from quantmis.measures.scored import Scores
from quantmis.registry import spelling
from quantmis.stats import Bound, Unmeasured
from quantmis.stats.bound import strongest
from quantmis.stats.cluster import pair_id
from quantmis.stats.groups import numbers_of
from quantmis.stats.heldout import halves
from quantmis.stats.metrics import Table
from quantmis.stats.roc import tally

FEWEST = 2
NO_RATIO = (
    "the joint likelihood ratio needs, under every version, two models of the attacker's own that were trained on each "
    "sample and two that were not"
)
NO_ATTACK = "no attack that an attacker could carry out was tried on these versions"
Joint = dict[str, Scores | Unmeasured]


def release_sets(names: Sequence[str], sets: Sequence[Sequence[str]] | None) -> list[tuple[str, ...]]:
    """Return the release sets of versions with these names: those asked for that they have, by default all together.

    >>> release_sets(["identity", "sign"], None), release_sets(["identity"], None)
    ([('identity', 'sign')], [])
    >>> release_sets(["identity", "sign"], [["sign", "gguf"], ["sign", "identity"]])
    [('sign', 'identity')]
    """
    if sets is None:
        return [tuple(names)] if len(names) >= FEWEST else []
    return [tuple(each) for each in sets if set(each) <= set(names)]


def score_release(
    versions: Sequence[ScoredVersion], references: Sequence[References], settings: AnalysisSettings
) -> ScoredRelease:
    """Attack versions together; `references`: the attacker's own models for each, in the order of the versions."""
    names, every = tuple(each.table.name for each in versions), range(len(versions))
    attacker = _attacker(versions, references, settings)
    joint = attacker.joint(every)
    alone = {each: scores for index in every for each, scores in attacker.single(index).items()}
    others = {name: [each for each in every if each != index] for index, name in enumerate(names)}
    return ScoredRelease(
        names=names,
        member=attacker.member,
        joint=joint,
        together=attacker.bound(joint),
        alone=attacker.bound(alone),
        without={name: attacker.bound(attacker.attack(rest)) for name, rest in others.items()},
        level=settings.level,
        groups=attacker.groups,
        each_other=attacker.own is None and len(attacker.member) > 1,
    )


def joint_scores(tables: Mapping[str, Evidence], attacks: Sequence[Attack], settings: AnalysisSettings) -> Joint:
    """Return the scores of the joint attacks on versions by name, whose models attack each other.

    An attack that cannot be carried out on a version, of which its record says why, is no part of them.
    """
    same = list(aligned(tables).values())
    scores = [_possible(attacks, table) for table in same]
    ratio = _ratio(same, None)
    attacker = _Attacker(Features(same, scores, ratio), ratio, tuple(tables), [{} for _ in same], settings)
    return attacker.joint(range(len(same)))


def _possible(attacks: Sequence[Attack], table: Evidence) -> dict[str, Scores]:
    scores = dict[str, Scores]()
    for attack in attacks:
        with suppress(UserError):
            scores[spelling(attack)] = attack.score(table)
    return scores


@dataclass(frozen=True, eq=False)
class _Attacker:
    """Hold what an attacker sees of a release set, and of models of its own where `own` are not the targets' rows.

    `transfer`: the scores of attacks on single versions whose own models are in full precision.
    """

    features: Features
    ratio: JointLikelihoodRatio | None
    names: tuple[str, ...]
    transfer: Sequence[Mapping[str, Scores]]
    settings: AnalysisSettings
    own: Features | None = None

    @property
    def member(self) -> Bool[np.ndarray, "models samples"]:
        """Who was trained on what."""
        return self.features.tables[0].member

    @property
    def groups(self) -> Shaped[np.ndarray, " samples"] | None:
        """Which samples belong together; None where each is by itself."""
        return self.features.tables[0].groups

    def attack(self, among: Sequence[int]) -> Joint:
        """Return the scores of each attack on the versions `among` these, by number, be it a single one."""
        return self.joint(among) if len(among) >= FEWEST else self.single(among[0])

    def joint(self, among: Sequence[int]) -> Joint:
        """Return the scores of each joint attack."""
        alone = self.features.alone(among)
        common = [name for name in self.features.attacks[among[0]] if self._is_on_all(name, among)]
        return {
            JOINT_LIRA: Unmeasured(NO_RATIO) if self.ratio is None else self.ratio.scores(among),
            STACKED: self._stacked(lambda features: features.every(among)),
            **{f"{STACKED}({name})": self._stacked(partial(Features.of, attack=name, among=among)) for name in common},
            DIFFERENCES: self._stacked(lambda features: features.differences(among)),
            MEAN: np.mean(alone, axis=0) if alone else Unmeasured(NO_ATTACK),
        }

    def _is_on_all(self, attack: str, among: Sequence[int]) -> bool:
        return all(attack in self.features.attacks[version] for version in among)

    def single(self, version: int) -> Joint:
        """Return the scores of each attack on one version, and of a stack of them."""
        name, attacks = self.names[version], self.features.attacks[version]
        scores: Joint = {
            f"{each} on {name}": values for each, values in (*attacks.items(), *self.transfer[version].items())
        }
        if len(attacks) > 1:
            scores[f"{STACKED} on {name}"] = self._stacked(lambda features: features.alone([version]))
        return scores

    def bound(self, scores: Joint) -> Bound:
        """Return the bound that attacks give, all judged on the same halves of the samples."""
        numbers = numbers_of(self.groups, self.member.shape[1])
        tables = {
            name: Table(tally(each, self.member), self.member, self._pair, self._half, self.settings.level, numbers)
            for name, each in sorted(scores.items())
            if not isinstance(each, Unmeasured)
        }
        return strongest(tables) if tables else Bound(Unmeasured(NO_ATTACK), "", accuracy=Unmeasured(NO_ATTACK))

    @cached_property
    def _pair(self) -> np.ndarray:
        return pair_id(self.member)

    @cached_property
    def _half(self) -> Bool[np.ndarray, " samples"]:
        return halves(self.features.tables[0].signals, self.member, self.settings.seed, self.groups)

    def _stacked(self, select: Callable[[Features], list[Scores]]) -> Scores:
        """Return the scores of a stack of the features that `select` returns."""
        features = select(self.features)
        if self.own is not None:
            return from_references(select(self.own), self.own.tables[0].member, features)
        if self._pair.max() > 0:
            return over_pairs(features, self.member)
        return over_samples(features, self.member, self.settings.seed, self.groups)


def _attacker(
    versions: Sequence[ScoredVersion], references: Sequence[References], settings: AnalysisSettings
) -> _Attacker:
    tables = list(aligned({each.table.name: each.table.audited for each in versions}).values())
    adaptive = [_carried_out(each.adaptive, settings) for each in versions]
    transfer = [_carried_out(each.transfer, settings, " (transfer)") for each in versions]
    names, own = tuple(each.table.name for each in versions), [each.adaptive for each in references]
    models = [each for each in own if isinstance(each, Evidence)]
    if len(models) < len(own):
        ratio = _ratio(tables, None) if all(each is None for each in own) else None
        return _Attacker(Features(tables, adaptive, ratio), ratio, names, transfer, settings)
    learned, ratio = _learned_from(models, adaptive, settings), _ratio(tables, models)
    feature = None if learned is None or learned.ratio is None else ratio
    return _Attacker(Features(tables, adaptive, feature), ratio, names, transfer, settings, learned)


def _learned_from(
    models: Sequence[Evidence], carried_out: Sequence[Mapping[str, Scores]], settings: AnalysisSettings
) -> Features | None:
    """Return the same features of the attacker's own models; None where an attack needs more models than these."""
    attacks = {spelling(attack): attack for attack in settings.attacks}
    try:
        scores = [
            {name: attacks[name].score(table) for name in names}
            for table, names in zip(models, carried_out, strict=True)
        ]
    except UserError:
        return None  # the weights are learned on half of the samples then, as without models of one's own
    return Features(models, scores, _ratio(models, None))


def _ratio(tables: Sequence[Evidence], references: Sequence[Evidence] | None) -> JointLikelihoodRatio | None:
    try:
        return JointLikelihoodRatio.fit(tables, references)
    except UserError:
        return None  # too few models, which NO_RATIO says where the attack is reported


def _carried_out(
    scores: Mapping[str, Scores | Unmeasured], settings: AnalysisSettings, suffix: str = ""
) -> dict[str, Scores]:
    """Return the scores of the attacks that an attacker could carry out."""
    bounding = [spelling(attack) for attack in settings.attacks if attack.bounds_security]
    return {name + suffix: each for name in bounding if not isinstance(each := scores[name], Unmeasured)}
