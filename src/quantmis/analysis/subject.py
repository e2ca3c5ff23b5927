"""The two subjects of an audit: the models that it trained (*this training algorithm*), and the one it was given.

Both are lists of loss tables, full precision first, and are measured by the same functions. They differ in who the
attacker's own models are: for the trained models each other, for the target the trained models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from threadpoolctl import threadpool_limits

from quantmis.analysis.ranking import contradicted, ranking
from quantmis.analysis.release import release_sets, score_release
from quantmis.analysis.scoring import ReferencesOf, score
from quantmis.analysis.settings import AnalysisSettings
from quantmis.analysis.versions import describe, describe_release
from quantmis.measures import ScoredVersion
from quantmis.measures.distortion import DISTORTION
from quantmis.measures.passing import PASSING
from quantmis.results import Ranking, ReleaseResult, VersionResult
from quantmis.tables import LossTable


@dataclass(frozen=True, eq=False)
class SubjectAnalysis:
    """Hold the tables of one subject and what was measured on each, in one order, and on release sets of them."""

    tables: Sequence[LossTable] = ()
    scored: Sequence[ScoredVersion] = ()
    records: Sequence[VersionResult] = ()
    releases: Sequence[ReleaseResult] = ()

    def ranking(self, level: float) -> Ranking:
        """Return its versions from the one that gives away least."""
        upset, passing = ({each.name: each[measure] for each in self.records} for measure in (DISTORTION, PASSING))
        return ranking(self.scored, upset, level, passing)

    def contradicted(self, level: float) -> list[tuple[str, str]]:
        """Return pairs of versions that two numbers about twins order differently."""
        return contradicted(self.scored, level)


@threadpool_limits.wrap(limits=1, user_api="blas")  # many small products: more threads only wait for each other
def analyse(
    tables: Sequence[LossTable],
    references: ReferencesOf,
    settings: AnalysisSettings,
    ids: np.ndarray | None = None,
    tick: Callable[[int], None] = lambda done: None,
) -> SubjectAnalysis:
    """Attack every table and describe what came of it; `references` gives the attacker's own models for each."""
    scored, records = list[ScoredVersion](), list[VersionResult]()
    for table in tables:
        scored.append(score(table, references(table), settings, scored[0] if scored else None, ids))
        records.append(describe(scored[-1]))
        tick(1)
    return SubjectAnalysis(tables, scored, records, _releases(scored, references, settings))


def _releases(
    scored: Sequence[ScoredVersion], references: ReferencesOf, settings: AnalysisSettings
) -> list[ReleaseResult]:
    by_name = {each.table.name: each for each in scored}
    sets = [[by_name[name] for name in names] for names in release_sets(list(by_name), settings.release)]
    return [
        describe_release(score_release(each, [references(version.table) for version in each], settings))
        for each in sets
    ]
