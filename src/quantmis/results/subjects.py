"""What an audit is about: *this model*, the very one that was given, and *this training algorithm*."""

from dataclasses import dataclass, field
from typing import Literal

from quantmis.results.document import Ranking, Results, TargetResult
from quantmis.results.records import ReleaseResult, VersionResult
from quantmis.stats import Unmeasured

About = Literal["this model", "this training algorithm"]
THIS_MODEL: About = "this model"
TRAINING_ALGORITHM: About = "this training algorithm"
NOTHING_TRAINED = "an as-is audit trains no models, and so measures this model alone"


@dataclass(frozen=True)
class ResultSubject:
    """Hold the versions of one subject, which are ranked with each other; `reason` says why there are none.

    `releases`: what several of them give away together.
    """

    about: About
    versions: list[VersionResult]
    ranking: Ranking | Unmeasured
    reason: str = ""
    releases: list[ReleaseResult] = field(default_factory=list[ReleaseResult])

    @property
    def ordered(self) -> list[tuple[int | None, VersionResult, list[str]]]:
        """The rank, the record and the ties of each version, the least exposed first, those without a rank last."""
        by_name = {record.name: record for record in self.versions}
        rows = [] if isinstance(self.ranking, Unmeasured) else self.ranking.rows
        ranked = [(row.rank, by_name.pop(row.name), row.tied) for row in rows]
        return [*ranked, *((None, record, list[str]()) for record in by_name.values())]


def _releases_of_target(results: Results) -> list[ReleaseResult]:
    if results.config.depth == "as-is":
        return results.releases
    return results.target.releases if isinstance(results.target, TargetResult) else []


def subjects(results: Results) -> list[ResultSubject]:
    """Return both subjects, the very model first; one that was not measured has a reason and no versions."""
    parts = results.this_model
    if isinstance(parts, Unmeasured):
        this_model = ResultSubject(THIS_MODEL, [], parts, parts.reason)
    else:
        this_model = ResultSubject(THIS_MODEL, *parts, releases=_releases_of_target(results))
    if results.config.depth == "as-is":
        algorithm = ResultSubject(TRAINING_ALGORITHM, [], Unmeasured(NOTHING_TRAINED), NOTHING_TRAINED)
    else:
        algorithm = ResultSubject(TRAINING_ALGORITHM, results.versions, results.ranking, releases=results.releases)
    return [this_model, algorithm]
