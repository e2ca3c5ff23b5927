"""Claims about discoverable extraction with (n, p): the shares are those that transformers' probabilities give."""

import csv
import io
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers

import quantmis as qm
from quantmis.documents import Source
from quantmis.documents import csv as table_file
from quantmis.measures.extractable import extractable
from quantmis.measures.extraction import CHANCES, NO_ENDINGS, TRIES, extraction
from quantmis.measures.scored import Precision, ScoredVersion
from quantmis.models.recitation import recited
from quantmis.models.rows import row
from quantmis.models.task import inputs
from quantmis.report.html import render
from quantmis.stats import Bound, Estimate, Unmeasured
from quantmis.tables import LossTable, VersionTraits


def endings(base: Path, texts: list[str]) -> np.ndarray:
    """Return the log-probability of the second half of each text, by transformers alone."""
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    model = transformers.AutoModelForCausalLM.from_pretrained(base).float().eval()
    found = list[float]()
    for text in texts:
        tokens = torch.tensor(tokenizer(text)["input_ids"])
        with torch.no_grad():
            log_p = model(input_ids=tokens[None]).logits[0, :-1].double().log_softmax(-1)
        each = log_p.gather(1, tokens[1:, None])[:, 0]
        found.append(float(each[max(1, len(tokens) // 2) - 1 :].sum()))
    return np.array(found)


def scored(ending: np.ndarray, member: np.ndarray, metric: str = "log_likelihood") -> ScoredVersion:
    named = {"ending": ending[None]}
    evidence = qm.Evidence(-ending[None], member[None], named=named)
    everything = np.ones(len(ending), dtype=bool)
    table = LossTable(
        "identity", evidence, None, None, metric, (VersionTraits("f", None, None, None, []),), everything, ~member
    )
    return ScoredVersion(table, {}, {}, Bound(Unmeasured("not tried"), ""), "", Precision(0.95))


def test_the_signal_is_the_log_probability_of_the_second_half(base: Path):
    texts = sentences(24)
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(texts), reference=False)
    model = task.build(0)
    found = row(model, task.loss, inputs(samples), task.loss.targets(samples.y)).named["ending"]
    np.testing.assert_allclose(found, endings(base, texts), rtol=1e-5)
    said = recited(model, inputs(samples)[:, 0])
    assert said is not None
    np.testing.assert_allclose(found, said.log_probability, rtol=1e-5)


def test_of_a_text_with_context_it_is_all_that_is_scored(base: Path):
    from quantmis.data.tokens import as_context

    tokens = torch.randint(1, 200, (20, 12))
    tokens[:, :9] = as_context(tokens[:, :9])
    model: Any = qm.Task.causal_lm(base).build(0)
    said = recited(model, tokens)
    assert said is not None
    with torch.no_grad():
        statistics = model(tokens)
    np.testing.assert_allclose(statistics[:, 3], said.log_probability, rtol=1e-5)
    np.testing.assert_allclose(statistics[:, 3], -3 * statistics[:, 0], rtol=1e-5)


def test_of_a_text_longer_than_the_context_each_token_counts_once(base: Path):
    tokens = torch.randint(1, 200, (16, 150))
    model: Any = qm.Task.causal_lm(base).build(0)
    with torch.no_grad():
        found = model(tokens)[:, 3]
        each = [
            torch.cat([transformers_log_p(model, text[start : start + 64]) for start in range(0, 149, 63)])
            for text in tokens
        ]
    np.testing.assert_allclose(found, [float(log_p[74:].sum()) for log_p in each], rtol=1e-5)


def transformers_log_p(model: Any, tokens: torch.Tensor) -> torch.Tensor:
    from quantmis.models.language import showing_logits

    with showing_logits(model):
        logits = model(tokens[None])[0, :-1]
    return logits.log_softmax(-1).gather(1, tokens[1:, None])[:, 0]


def test_the_shares_are_those_of_the_paper_s_definition():
    draw = np.random.default_rng(0)
    ending, member = -draw.exponential(6.0, 300), np.arange(300) < 120
    for each in extraction(scored(ending, member)):  # pyright: ignore[reportGeneralTypeIssues, reportOptionalIterable]
        # sampled at least once: 1 - (1 - p)^n >= chance, that is n >= log(1 - chance) / log(1 - p)
        needed = np.array([math.log(1 - each.chance) / math.log1p(-math.exp(log_p)) for log_p in ending])
        assert each.members.value == pytest.approx((needed[:120] <= each.tries).mean())
        assert each.non_members.value == pytest.approx((needed[120:] <= each.tries).mean())
        assert 0 <= each.members.low <= each.members.value <= each.members.high <= 1


def test_where_no_text_is_extractable_the_interval_still_has_width():
    found = extractable(scored(np.full(200, -500.0), np.arange(200) < 100))
    assert isinstance(found, Estimate)
    assert found.value == 0.0
    assert 0.02 < found.high < 0.05  # about three in a hundred


def test_a_text_that_is_certain_is_extractable_in_one_try():
    found = extraction(scored(np.zeros(40), np.arange(40) < 20))
    assert isinstance(found, list)
    assert {each.members.value for each in found} == {1.0}


def test_what_is_no_text_has_none_and_a_table_without_probabilities_says_so():
    version = scored(np.zeros(40), np.arange(40) < 20, metric="accuracy")
    assert extraction(version) is None
    assert extractable(version) is None
    without = scored(np.zeros(40), np.arange(40) < 20)
    object.__setattr__(without.table.evidence, "named", {})
    assert extraction(without) == extractable(without) == NO_ENDINGS


@pytest.mark.slow
def test_an_audit_as_is_reports_members_beside_non_members(base: Path, tmp_path: Path):
    texts = sentences(80)
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(texts))
    target = qm.Target(base, range(40), range(40, 80), confounded="report")
    result = qm.audit(
        task, samples, target=target, quantizers=["uniform(bits=4)"], out=tmp_path / "out", progress=False
    )
    document = qm.AuditResult.from_json(tmp_path / "out" / "results.json").document
    for record in document.versions:
        table = {(each.tries, each.chance): each for each in record["extraction"]}
        assert set(table) == {(tries, chance) for tries in TRIES for chance in CHANCES}
        assert record["extractable"] == table[100, 0.5].members
    p = np.exp(endings(base, texts))
    whole = {(each.tries, each.chance): each for each in document.versions[0]["extraction"]}
    assert whole[10_000, 0.1].members.value == pytest.approx(((1 - (1 - p[:40]) ** 10_000) >= 0.1).mean())
    rows = list(csv.DictReader(io.StringIO(table_file.render(Source(document, "ab" * 32)).decode())))
    assert "extraction.10000.50.non_members" in rows[0]
    assert "Texts that samples give away" in render(document)
    assert result.document == document
