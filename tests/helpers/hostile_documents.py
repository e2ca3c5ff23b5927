"""A document in which every text that a user may write tries to do harm."""

from documents import document

from quantmis.results import AttackDescription, Config, Finding, Results
from quantmis.stats import Unmeasured

HOSTILE = {
    "script": "<script>window.harmed=1</script>",
    "style": "</style><img src=x onerror=window.harmed=1>",
    "attribute": '"\' autofocus onfocus=window.harmed=1 x="',
    "template": "{{ 7 * 7 }}{% raw %}",
    "direction": "\u202eevil\u2066\u200f",
    "endless": "x" * 10_000,
    "control": "nul\x00bell\x07escape\x1b[31m",
    "comment": "<!-- --> ]]> &lt;",
}


def hostile() -> Results:
    """Put every hostile text wherever an audit lets a user write one."""
    results = document({"identity": 1.1, **{text: 0.2 + i / 10 for i, text in enumerate(HOSTILE.values())}})
    everything, texts = " ".join(HOSTILE.values()), ["", *HOSTILE.values()]
    records = [
        record.model_copy(
            update={
                "attacks": {**record.attacks, text: record.attacks["lira"]},
                "strongest_attack": text,
                "utility_metric": everything,
            }
        ).with_measures(security=reason)
        for record, text, reason in zip(results.versions, texts, map(Unmeasured, texts), strict=True)
    ]
    config = Config(
        **{**results.config.model_dump(), "model": everything, "loss": everything, "recipe": {everything: everything}}
    )
    environment = results.environment.model_copy(update={"versions": HOSTILE, "started": everything})
    return results.model_copy(
        update={
            "config": config,
            "environment": environment,
            "versions": records,
            "attacks": {**results.attacks, **{text: described(text) for text in HOSTILE.values()}},
            "warnings": [Finding(code=each, text=each) for each in HOSTILE.values()],
            "reproduce": results.reproduce.model_copy(update={"command": everything, "python": everything}),
            "ranking": results.ranking.model_copy(update={"criterion": everything}),
        }
    )


def described(text: str) -> AttackDescription:
    return AttackDescription(description=text)
