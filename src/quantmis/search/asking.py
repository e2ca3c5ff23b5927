"""From what was asked for, in Python or in an audit file, to a search."""

import tempfile
from pathlib import Path
from typing import Any

from quantmis.audit.config.running import asked_of
from quantmis.audit.options import AuditOptions
from quantmis.audit.search_options import SearchOptions
from quantmis.audit.target.target import Target
from quantmis.data import Samples
from quantmis.errors import printable
from quantmis.gate import read as read_policy
from quantmis.models import Task
from quantmis.search.request import SearchRequest
from quantmis.search.result import SearchResult
from quantmis.search.running import searched


def search_file(path: Path, out: Path, overrides: dict[str, Any], changes: dict[str, Any]) -> SearchResult:
    """Search as the file at `path` says; what is not None stands for its options, `changes` for those of [search]."""
    file, options, described = asked_of(path, out, overrides)
    task, samples, target = described
    given = {name: value for name, value in changes.items() if value is not None}
    spoken = [f"--{name} {value}" for name, value in [*overrides.items(), *given.items()] if value is not None]
    command = " ".join([f"quantmis search {printable(path.name)}", *spoken])
    asked = SearchOptions.of(**{**file.search.model_dump(), **given})
    home = Path() if "policy" in given else path.parent
    return search_for(task, samples, target, options, asked, home, out, True, command)


def search_for(
    task: Task,
    samples: Samples,
    target: Target | None,
    options: AuditOptions,
    asked: SearchOptions,
    home: Path,
    out: Path | None,
    progress: bool,
    command: str = "",
) -> SearchResult:
    """Search and return the result; a policy is looked for in `home`. Without `out` nothing is kept on disk."""
    policy = None if asked.policy is None else read_policy(home / asked.policy)
    if out is None:
        with tempfile.TemporaryDirectory() as folder:
            request = SearchRequest(task, samples, target, options, asked, policy, Path(folder) / "search", command)
            done = searched(request, progress)
            return SearchResult(done.record.model_copy(update={"saved": ""}), done.audit)
    done = searched(SearchRequest(task, samples, target, options, asked, policy, out, command), progress)
    return SearchResult(done.record, done.audit)
