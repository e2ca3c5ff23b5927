"""Documents of audits that were also given a model of the user's own, and their sources."""

from documents import around, document

from quantmis.documents import Source
from quantmis.results import BlindBaseline, Results, TargetResult

DIGEST = "ab" * 32


def source(results: Results | None = None) -> Source:
    return Source(document() if results is None else results, DIGEST)


def given() -> Results:
    """Build the document of an audit that was also given a model of its own, with two versions."""
    results = document()
    small = document({"identity": 1.4, "sign": 0.4})
    blind = BlindBaseline(
        method="histogram gradient boosting", auc=around(0.7), balanced_accuracy=around(0.6), differs=True
    )
    target = TargetResult(
        name="model.safetensors",
        digest="cd" * 32,
        members=400,
        non_members=400,
        blind=blind,
        versions=small.versions,
        ranking=small.ranking,
    )
    return results.model_copy(update={"target": target})


def as_is() -> Results:
    """Build the document of an audit that trained nothing: all that was measured is about this model."""
    results = given()
    target = results.target
    assert isinstance(target, TargetResult)
    config = results.config.model_copy(update={"depth": "as-is", "shadows": 0, "replicates": 0})
    return results.model_copy(
        update={"config": config, "target": target.model_copy(update={"versions": [], "ranking": results.ranking})}
    )
