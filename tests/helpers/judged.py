"""What the tests of the gate share: documents with every quantity measured, and policies as people write them."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from documents import around, document

from quantmis import gate
from quantmis.gate import Judgement, Verdict
from quantmis.gate.policy import parse
from quantmis.measures.exposure_by_class import ClassExposure
from quantmis.results import BlindBaseline, Results, TargetResult, VersionResult
from quantmis.stats import Estimate, Unmeasured

NOW = datetime(2026, 3, 12, 9, 15, tzinfo=UTC)  # ten days after the documents began
DIGEST = "ab" * 32
SIGN = "sign"


def measured(record: VersionResult) -> VersionResult:
    """Return the record with the paired changes and the classes measured, as recent audits have them."""
    first = record.name == "identity"
    itself = Unmeasured("this is full precision itself")
    return record.with_measures(
        attack_accuracy_change=itself if first else around(-0.1, 0.01),
        utility_change=itself if first else around(-0.02, 0.005),
        exposure_by_class=[
            ClassExposure(label=0, attack="lira", auc=around(0.6, 0.05)),
            ClassExposure(label=1, attack="lira", auc=around(0.7, 0.02)),
        ],
    )


def audited(**changes: Any) -> Results:
    """Return a document of ten versions in which everything about the training algorithm was measured."""
    whole = document()
    return whole.model_copy(update={"versions": [measured(each) for each in whole.versions], **changes})


def with_version(name: str = SIGN, **changes: Any) -> Results:
    """Return the document with another record of one version; `changes` are fields of it or measures."""
    whole = audited()
    fields = {key: value for key, value in changes.items() if key in VersionResult.model_fields}
    measures = {key: value for key, value in changes.items() if key not in fields}
    changed = whole.version(name).model_copy(update=fields).with_measures(**measures)
    records = [changed if each.name == name else each for each in whole.versions]
    return whole.model_copy(update={"versions": records})


def target(differs: bool = False, names: Sequence[str] = ("identity", SIGN), **changes: Any) -> TargetResult:
    """Return what was measured about one model that was given."""
    whole = audited()
    auc = around(0.8 if differs else 0.5)
    fields = {
        "name": "model.safetensors",
        "digest": DIGEST,
        "members": 500,
        "non_members": 500,
        "blind": BlindBaseline(method="a forest", auc=auc, balanced_accuracy=auc, differs=differs),
        "versions": [whole.version(name) for name in names],
        "ranking": Unmeasured("one model was given"),
        **changes,
    }
    return TargetResult(**fields)


def judged(policy: str, results: Results | None = None, now: datetime = NOW) -> Judgement:
    """Judge a document by a policy."""
    return gate.judge(audited() if results is None else results, parse(policy.encode()), now)


def verdict(
    judgement: Judgement, limit: str, version: str | None = SIGN, about: str = "this training algorithm"
) -> Verdict:
    """Return the one verdict on a limit."""
    about = "this audit" if version is None else about
    found = [each for each in judgement.verdicts if (each.limit, each.version, each.about) == (limit, version, about)]
    assert len(found) == 1, [each.limit for each in judgement.verdicts]
    return found[0]


def of_sign(section: str, limit: str, results: Results | None = None) -> Verdict:
    """Return the verdict on a single limit, `section.key = value`, on the version `sign`."""
    key, _, value = limit.partition(" = ")
    return verdict(judged(f'version = "sign"\n[{section}]\n{key} = {value}', results), f"{section}.{key}")


def bound(low: float, high: float) -> Estimate:
    """Return an estimate in the middle of an interval."""
    return Estimate((low + high) / 2, low, high)
