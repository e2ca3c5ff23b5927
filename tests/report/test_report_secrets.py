"""Claims about what the report says of secrets and of texts that samples give away."""

from documents import document

from quantmis.measures.extraction import Extraction
from quantmis.report.html import render
from quantmis.stats import Estimate

STRENGTHS = {"identity": 1.1, "uniform(bits=4)": 0.9}


def test_the_page_shows_what_is_given_away_where_it_was_asked():
    whole = document(STRENGTHS)
    half = Estimate(0.5, 0.4, 0.6)
    shares = [Extraction(tries=tries, chance=0.5, members=half, non_members=half) for tries in (1, 100)]
    asked = {"secrets_written": half, "secrets_similarity": half, "secrets_exposure": Estimate(2.0, 1.0, 3.0)}
    records = [each.with_measures(**asked, extraction=shares) for each in whole.versions]
    page = render(whole.model_copy(update={"versions": records}))
    for heading in ("Secrets that were named", "Exposure of secrets, bits", "Members, one try", "Non-members, 100 t"):
        assert heading in page
        assert heading not in render(whole)
