"""Claims about what language models say by heart of texts that they were to forget."""

from pathlib import Path

import numpy as np
import pytest
import torch

import quantmis as qm
from quantmis.models.extraction import _continued, extracted
from quantmis.models.language import showing_logits
from quantmis.models.recitation import recited
from quantmis.stats import Estimate
from quantmis.verify import verify


@pytest.fixture(scope="module")
def model(base: Path) -> torch.nn.Module:
    return qm.Task.causal_lm(base).build(0)


def continued(model: torch.nn.Module, texts: int, prefix: int, rest: int) -> torch.Tensor:
    """Return texts that greedy decoding continues just so."""
    start = torch.randint(1, 200, (texts, prefix), generator=torch.Generator().manual_seed(0))
    with torch.no_grad(), showing_logits(model):
        return torch.cat([start, _continued(model, start, rest, None)], dim=1)


def test_one_pass_finds_the_texts_that_decoding_finds(model: torch.nn.Module):
    whole = continued(model, 6, 8, 8)
    other = whole.clone()
    other[::2, -1] = (other[::2, -1] + 1) % 200
    found = recited(model, other)
    assert found is not None
    by_decoding = extracted(model, other, 8, torch.Generator().manual_seed(0))["greedy"]
    assert found.by_heart.tolist() == by_decoding.tolist() == [False, True] * 3


def test_the_probability_of_a_text_is_that_of_drawing_it(model: torch.nn.Module):
    whole = continued(model, 1, 3, 1)  # of four tokens the second half is two
    found = recited(model, whole)
    assert found is not None
    stream, tries = torch.Generator().manual_seed(1), 4000
    with torch.no_grad(), showing_logits(model):
        drawn = _continued(model, whole[:, :3].repeat(tries, 1), 1, stream)
        first = model(whole[:, :2])[:, -1].float().log_softmax(-1)[0, whole[0, 2]]
    share = (drawn == whole[:, 3:]).float().mean().item()
    truth = np.exp(found.log_probability[0] - first.item())
    assert abs(share - truth) < 4 * np.sqrt(truth / tries) + 1e-3


def test_filling_and_company_change_nothing(model: torch.nn.Module):
    whole = continued(model, 4, 8, 8)
    filled = torch.nn.functional.pad(whole, (0, 9), value=-1)
    filled[1, 12:] = -1
    found, alone = recited(model, filled), recited(model, whole)
    assert found is not None
    assert alone is not None
    assert found.log_probability[[0, 2, 3]] == pytest.approx(alone.log_probability[[0, 2, 3]], abs=1e-4)
    single = recited(model, filled[1:2, :12])
    assert single is not None
    assert found.log_probability[1] == pytest.approx(single.log_probability[0], abs=1e-4)


def test_a_model_without_logits_says_nothing():
    assert recited(torch.nn.Linear(2, 2), torch.ones(1, 4, dtype=torch.long)) is None


@pytest.mark.slow
def test_an_audit_of_texts_says_what_of_the_forgotten_is_still_said_by_heart(base: Path, tmp_path: Path):
    draw = np.random.default_rng(0)
    words = [f"w{each}" for each in range(30)]
    texts = [" ".join(draw.choice(words, 12)) for _ in range(80)]
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(texts))
    given = qm.Target(
        task.build(0).state_dict(), np.arange(20), np.arange(20, 60), forget=np.arange(60, 80), confounded="report"
    )
    document = qm.audit(
        task, samples, target=given, quantizers=["uniform(bits=4)"], progress=False, out=tmp_path
    ).document
    for record in document.versions:
        assert isinstance(record["forget_extracted"], Estimate)
        assert record["forget_extracted"].value == 0.0
        chances = [each.forget.value for each in record["forget_extraction"]]
        assert chances == sorted(chances)
        assert isinstance(record["retained_utility"], Estimate)
    assert verify(tmp_path).edited == []
    assert "How likely the second half of a text is sampled" in (tmp_path / "report.html").read_text(encoding="utf-8")
