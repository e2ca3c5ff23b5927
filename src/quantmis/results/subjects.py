"""What an audit is about: *this model*, the very one that was given, and *this training algorithm*."""

from dataclasses import dataclass
from typing import Literal

from quantmis.results.document import Ranking, Results
from quantmis.results.records import VersionResult
from quantmis.stats import Unmeasured

About = Literal["this model", "this training algorithm"]
THIS_MODEL: About = "this model"
TRAINING_ALGORITHM: About = "this training algorithm"
NOTHING_TRAINED = "an as-is audit trains no models, and so measures this model alone"


@dataclass(frozen=True)
class ResultSubject:
    """Hold the versions of one subject, which are ranked with each other; `reason` says why there are none."""

    about: About
    versions: list[VersionResult]
    ranking: Ranking | Unmeasured
    reason: str = ""

    @property
    def ordered(self) -> list[tuple[int | None, VersionResult, list[str]]]:
        """The rank, the record and the ties of each version, the least exposed first, those without a rank last."""
        by_name = {record.name: record for record in self.versions}
        rows = [] if isinstance(self.ranking, Unmeasured) else self.ranking.rows
        ranked = [(row.rank, by_name.pop(row.name), row.tied) for row in rows]
        return [*ranked, *((None, record, list[str]()) for record in by_name.values())]


def subjects(results: Results) -> list[ResultSubject]:
    """Return both subjects, the very model first; one that was not measured has a reason and no versions."""
    given = results.this_model
    if isinstance(given, Unmeasured):
        this_model = ResultSubject(THIS_MODEL, [], given, given.reason)
    else:
        this_model = ResultSubject(THIS_MODEL, *given)
    if results.config.depth == "as-is":
        algorithm = ResultSubject(TRAINING_ALGORITHM, [], Unmeasured(NOTHING_TRAINED), NOTHING_TRAINED)
    else:
        algorithm = ResultSubject(TRAINING_ALGORITHM, results.versions, results.ranking)
    return [this_model, algorithm]
