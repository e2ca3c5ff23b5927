"""A search from start to end: divide, train pairs, try candidates, tell layers apart, confirm, write."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from quantmis.audit.checks import check_folder
from quantmis.audit.execution.store import locked
from quantmis.audit.request import AuditRequest, audit_request
from quantmis.audit.result import AuditResult
from quantmis.audit.run import run
from quantmis.errors import UserError
from quantmis.files import private_folder
from quantmis.quantizers import QUANTIZERS, Quantizer
from quantmis.registry import spelling
from quantmis.search import confirming
from quantmis.search.exploring import Exploration, Heard, begun
from quantmis.search.record import SearchRecord, write
from quantmis.search.request import FOLDER, SearchRequest
from quantmis.search.saving import save_winner
from quantmis.search.study import library

INTERRUPTED = "interrupted: this is the front so far, and nothing is confirmed yet"
NOTHING_KEEPS = "no version keeps the limits on trainings and samples that the search never saw"


@dataclass(frozen=True)
class Searched:
    """Hold a search that has ended, and the audit of what it proposes."""

    record: SearchRecord
    audit: AuditResult


def searched(request: SearchRequest, progress: bool, heard: Heard = lambda tried: None) -> Searched:
    """Search, confirm, and write everything into the folder; goes on from what it already holds.

    `heard` is told of every candidate. An interruption leaves the front of what was tried, and no confirmation. Raises
    `UserError` where no candidate keeps the limits.
    """
    library()
    _ = request.space
    _audit_of(request, ())  # what cannot be confirmed is said before anything is spent
    check_folder(request.out)
    with locked(private_folder(request.out / FOLDER)):
        found = begun(request, progress)
        try:
            found.explore(progress, heard)
            found.require_within()
            found.tell_layers_apart(progress)
        except KeyboardInterrupt:
            _written(found.record(INTERRUPTED), request.out)
            raise
        except UserError as error:
            _written(found.record(str(error)), request.out)
            raise
        _written(found.record(), request.out)
    return _confirmed(request, found, progress)


def _audit_of(request: SearchRequest, quantizers: Sequence[Quantizer]) -> AuditRequest:
    """Return the audit of `quantizers`, and of those beside them, on the samples that the search never sees."""
    rows, target = request.unseen, request.target
    samples = confirming.part_of(request.samples, rows)
    own = None if target is None else confirming.target_on(target, rows, len(request.samples))
    every = tuple(dict.fromkeys([*quantizers, *request.beside]))
    return audit_request(request.task, samples, own, request.options, request.out, request.command, every)


def _confirmed(request: SearchRequest, found: Exploration, progress: bool) -> Searched:
    """Audit the front on other samples and trainings, and write what became of it."""
    tried, record = found.search.tried, found.record()
    picked = [each.quantizer for each in confirming.chosen(found.search.front(), request.search)]
    asked = _audit_of(request, [QUANTIZERS.parse(each) for each in picked])
    result = run(asked, progress)
    known = {each.quantizer: each.judged for each in tried}
    proposed = [each for each in picked if each not in map(spelling, request.beside)]
    entries, tables = confirming.confirmed(result, request.out, request.limits, request.policy, known, proposed)
    winner = confirming.winner_of(entries, record.prefer)
    changes: dict[str, object] = {"confirmed": entries, "notes": [NOTHING_KEEPS]}
    if winner is not None:
        saved, said = save_winner(asked, QUANTIZERS.parse(winner.quantizer), request.out)
        comparison = confirming.compared(winner, entries, tables, record.prefer, request.options.level)
        changes |= {"winner": winner.quantizer, "comparison": comparison, "saved": saved, "notes": [said]}
    return Searched(_written(record.model_copy(update=changes), request.out), result)


def _written(record: SearchRecord, out: Path) -> SearchRecord:
    """Write the document of a search into a folder, and its page; return it."""
    from quantmis.search.page import write_page  # brings matplotlib, which only rendering should wait for

    write(record, out)
    write_page(record, out)
    return record
