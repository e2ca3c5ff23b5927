"""About how long an audit takes once its models are trained, by sizes alone, for the first line that it prints.

`quantmis plan` measures instead. The rates are those of one quiet core (benchmarks/RESULTS.md, "What an audit takes").
"""

from quantmis.audit.execution.work import Work
from quantmis.audit.settings import Settings

TABLE, CELL = 0.3, 2e-5
"""Seconds of the attacks on a table: of each, and of each loss in it."""

REPORT, VERSION = 1.4, 0.3
"""Seconds to write results and report: once, and for each version."""


def seconds_afterwards(work: Work, settings: Settings, target_versions: int) -> float:
    """Return about how many seconds attacks, controls and report take, `target_versions` of a target included."""
    versions = len(settings.quantizers) + target_versions
    attacks = (len(work.quantizers) + target_versions) * (TABLE + CELL * work.member.size)
    return attacks + seconds_of_report(versions)


def seconds_of_report(versions: int) -> float:
    """Return about how long results and report of so many versions take to write."""
    return REPORT + VERSION * versions
