"""What versions of a language model give away of the secrets that were named."""

from quantmis.measures.secrets_exposure import SECRETS_EXPOSURE
from quantmis.measures.secrets_similarity import SECRETS_SIMILARITY
from quantmis.measures.secrets_written import SECRETS_WRITTEN
from quantmis.report.cells import Notes, cell, rates
from quantmis.report.reading import places
from quantmis.report.tables import ReportTable, assemble, numbered, without_empty
from quantmis.report.words import fixed
from quantmis.results import Results
from quantmis.stats import Unmeasured


def named(results: Results, notes: Notes) -> ReportTable:
    """Return the table of what is given away of secrets; no rows where none were named."""
    listed = [place for place in places(results) if not isinstance(place.record[SECRETS_WRITTEN], Unmeasured)]
    if not listed:
        return assemble("", "Version", [], [])
    records = [place.record for place in listed]
    bits = [cell(each[SECRETS_EXPOSURE], notes, lambda value: fixed(value, 1)) for each in records]
    columns = [
        (SECRETS_WRITTEN.title, rates([each[SECRETS_WRITTEN] for each in records], notes)),
        (SECRETS_SIMILARITY.title, rates([each[SECRETS_SIMILARITY] for each in records], notes)),
        (SECRETS_EXPOSURE.title, bits),
    ]
    return without_empty(numbered("The secrets that were named", listed, columns))
