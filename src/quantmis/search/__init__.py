"""The search for the version to ship: train pairs once, try hundreds of versions of them, confirm the best elsewhere.

This module imports torch only when a search is asked for, so that `import quantmis` stays fast.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jaxtyping import jaxtyped

from quantmis.audit.options import OBJECTS, AuditOptions
from quantmis.audit.search_options import SearchOptions, table
from quantmis.errors import UserError
from quantmis.registry import suggestion

if TYPE_CHECKING:
    from quantmis.audit.target.target import Target
    from quantmis.data import Samples
    from quantmis.models import Task
    from quantmis.search.result import SearchResult


@jaxtyped(typechecker=None)  # the names in its signature exist only once torch is loaded
def search(
    task: "Task",
    samples: "Samples",
    *,
    target: "Target | None" = None,
    policy: str | Path | None = None,
    audit: Mapping[str, Any] | None = None,
    quantizers: Sequence[str] | None = None,
    out: str | Path | None = None,
    progress: bool = True,
    command: str = "",
    **options: Any,
) -> "SearchResult":
    """Search for the version to ship; what stands here is replaced below, where the options are known."""
    from quantmis.search.asking import search_for

    asked = SearchOptions.of(policy=None if policy is None else str(policy), **_known(options))
    given = {} if audit is None else {name: value for name, value in audit.items() if name not in OBJECTS}
    beside = None if quantizers is None else list(quantizers)
    audited = AuditOptions.of(quantizers=beside, attacks=(audit or {}).get("attacks"), **given)
    folder = None if out is None else Path(out)
    return search_for(task, samples, target, audited, asked, Path(), folder, progress, command)


def _known(options: Mapping[str, Any]) -> Mapping[str, Any]:
    unknown = next((name for name in options if name not in SearchOptions.model_fields), None)
    if unknown is not None:
        raise UserError(f"search has no option {unknown!r}", hint=suggestion(unknown, SearchOptions.model_fields))
    return options


search.__doc__ = f"""Search for the quantized version that gives away least, keeps its utility and takes few bits.

The samples are divided. On the one part pairs of models are trained, once, and every candidate is a version of them:
Optuna proposes, exposure, utility and bits are measured. On the other part, which the search never sees, the front is
audited as `quantmis.audit` does, with other trainings, beside `quantizers` (by default those of an audit).

`task`, `samples` and `target` are as of `quantmis.audit`; a winner is saved as a version of the model of `target`.
`policy`: a policy file of the gate. `audit`: options of `quantmis.audit`, such as shadows and seed. `out`: a folder; a
search that was interrupted goes on from there. The options, with their defaults:

{table()}

Raises `UserError` for what cannot be searched, and where no candidate keeps the limits.
"""
