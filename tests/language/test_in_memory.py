"""Claims about models of transformers that somebody has in memory: they read samples as those of a folder do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_models import sentences, transformers

import quantmis as qm


@pytest.mark.slow
def test_a_model_in_memory_is_audited_as_that_of_its_folder(base: Path):
    """As the target and as a version, and the user's own model still returns what it returned."""
    model = transformers.AutoModelForCausalLM.from_pretrained(base)
    other = transformers.AutoModelForCausalLM.from_pretrained(base)
    with torch.no_grad():
        for weight in other.parameters():
            weight.copy_((weight * 8).round() / 8)
    task = qm.Task.causal_lm(base)
    samples = task.samples(qm.Texts.of(sentences(60)))
    rows = np.arange(len(samples)) % 2 == 0
    measured = {}
    for name, weights in (("memory", model), ("folder", model.state_dict())):
        target = qm.Target(weights, rows, ~rows, versions={"other": other}, confounded="report")
        document = qm.audit(task, samples, target=target, quantizers=["sign"], progress=False).document
        measured[name] = {each.name: each["perplexity"] for each in document.versions}
    assert measured["memory"] == measured["folder"]
    assert measured["memory"]["other"] != measured["memory"]["identity"]
    tokens = torch.tensor([[5, 6, 7]])
    assert model(tokens).logits.shape == (1, 3, model.config.vocab_size)
