"""The two subjects of an audit: the models that it trained (*this training algorithm*), and the one it was given.

Both are lists of loss tables, full precision first, and are measured by the same functions. They differ in who the
attacker's own models are: for the trained models each other, for the target the trained models.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from threadpoolctl import threadpool_limits

from quantmis.analysis.kept import release_entry, release_of, version_entry, version_of
from quantmis.analysis.ranking import contradicted, ranking
from quantmis.analysis.recall import Entry, Recall, anew, ids_input, models_input, settings_input, table_inputs
from quantmis.analysis.release import release_sets, score_release
from quantmis.analysis.scoring import References, ReferencesOf, attacked
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
    recall: Recall = anew,
) -> SubjectAnalysis:
    """Attack every table and describe what came of it; `references` gives the attacker's own models for each.

    What `recall` knows is not computed.
    """
    subject = _Subject(settings, ids, recall)
    for table in tables:
        subject.add(table, references(table))
        tick(1)
    return SubjectAnalysis(tables, subject.scored, subject.records, subject.releases(references))


class _Subject:
    """Hold the versions analysed so far, and by what each is told from others."""

    def __init__(self, settings: AnalysisSettings, ids: np.ndarray | None, recall: Recall):
        self._settings, self._ids, self._recall = settings, ids, recall
        self._inputs: dict[str, list[str]] = {}
        self.scored: list[ScoredVersion] = []
        self.records: list[VersionResult] = []

    def add(self, table: LossTable, references: References) -> None:
        """Attack a table and describe what came of it."""
        attacks, first = attacked(table, references, self._settings), self.scored[0] if self.scored else None

        def described() -> Entry:
            bound = attacks.bound()
            return version_entry(describe(attacks.scored(bound, first, self._ids)), bound)

        own = [*table_inputs(table), models_input(references.adaptive), models_input(references.transfer)]
        whole = next(iter(self._inputs.values()), [])
        inputs = [settings_input(self._settings), ids_input(self._ids), *own, *whole]
        record, bound = self._recall("version", inputs, described, partial(version_of, table=table))
        self._inputs[table.name] = own
        self.scored.append(attacks.scored(bound, first, self._ids))
        self.records.append(record)

    def releases(self, references: ReferencesOf) -> list[ReleaseResult]:
        """Return the records of the release sets that have two versions of the subject or more."""
        by_name = {each.table.name: each for each in self.scored}
        sets = release_sets(list(by_name), self._settings.release)
        return [self._release([by_name[name] for name in names], references) for names in sets]

    def _release(self, versions: list[ScoredVersion], references: ReferencesOf) -> ReleaseResult:
        def described() -> Entry:
            own = [references(version.table) for version in versions]
            return release_entry(describe_release(score_release(versions, own, self._settings)))

        inputs = [word for version in versions for word in self._inputs[version.table.name]]
        return self._recall("release set", [settings_input(self._settings), *inputs], described, release_of)
