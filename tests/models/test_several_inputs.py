"""Claims about models that take several inputs: they are audited as those that take one."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import quantmis as qm
from quantmis import seeds
from quantmis.audit.config.running import asked_of
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request
from quantmis.audit.run import checked
from quantmis.errors import UserError
from quantmis.models.rows import forward
from quantmis.models.task import inputs
from quantmis.models.training import Training, train

DRAW = np.random.default_rng(0)
LEFT, RIGHT = DRAW.normal(size=(80, 3)).astype("float32"), DRAW.normal(size=(80, 2, 2)).astype("float32")
TOKENS = DRAW.integers(0, 9, (80, 5))
Y = (LEFT[:, 0] + RIGHT[:, 0, 0] > 0).astype(int)
RECIPE = qm.Recipe(epochs=3, learning_rate=1e-2)


class One(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(7, 8), nn.ReLU(), nn.Linear(8, 2))

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


class Two(One):
    def forward(self, left: Tensor, right: Tensor) -> Tensor:
        return self.net(torch.cat([left, right.flatten(1)], dim=1))


class Read(nn.Module):
    """Read tokens and look at an image."""

    def __init__(self):
        super().__init__()
        self.embedding, self.head = nn.Embedding(9, 4), nn.Linear(8, 2)

    def forward(self, text: Tensor, image: Tensor) -> Tensor:
        return self.head(torch.cat([self.embedding(text).mean(1), image.flatten(1)], dim=1))


def trained_losses(model: type[nn.Module], samples: qm.Samples, kind: str) -> np.ndarray:
    """Train two models and return their losses at every sample, [models, samples]."""
    task = qm.Task(model, recipe=RECIPE).of_inputs(samples.layout)
    member = np.arange(80) % 2 == np.arange(2)[:, None]
    modules = train(Training(task, samples, member, range(2), 0, kind))
    y = task.loss.targets(samples.y)
    return np.stack([task.loss.losses(forward(module, inputs(samples)), y).numpy() for module in modules])


@pytest.mark.parametrize("kind", ["stacked", "loop"])
def test_two_inputs_give_the_losses_of_the_one_that_they_are_parts_of(kind: str):
    x = np.concatenate([LEFT, RIGHT.reshape(80, 4)], axis=1)
    alone = trained_losses(One, qm.Samples(x, Y), kind)
    by_place = trained_losses(Two, qm.Samples((LEFT, RIGHT), Y), kind)
    by_name = trained_losses(Two, qm.Samples({"right": RIGHT, "left": LEFT}, Y), kind)
    np.testing.assert_allclose(by_place, alone, atol=1e-6)
    np.testing.assert_allclose(by_name, alone, atol=1e-6)


def test_a_model_gets_each_array_in_its_own_shape_and_type():
    samples = qm.Samples({"text": TOKENS, "image": RIGHT}, Y)
    module = qm.Task(Read).of_inputs(samples.layout).build(0)
    own = module(text=torch.tensor(TOKENS), image=torch.tensor(RIGHT))
    torch.testing.assert_close(forward(module, inputs(samples)), own.detach())
    assert samples.inputs["text"].dtype == np.int64
    np.testing.assert_array_equal(samples.inputs["text"], TOKENS)
    np.testing.assert_array_equal(samples.take(np.arange(30, 60)).inputs["image"], RIGHT[30:60])


def test_the_digest_tells_two_divisions_of_the_same_numbers_apart():
    digests = [qm.Samples(each, Y).digest() for each in ((LEFT, RIGHT), {"left": LEFT, "right": RIGHT})]
    digests.append(qm.Samples((LEFT, RIGHT.reshape(80, 4)), Y).digest())
    assert len({*digests, qm.Samples((LEFT, RIGHT), Y).digest()}) == 3


def test_a_training_function_gets_the_arrays_apart():
    def train_once(model: nn.Module, samples: qm.Samples, generator: torch.Generator) -> nn.Module:
        left, right = map(torch.tensor, samples.inputs)
        with torch.no_grad():
            model.net[0].bias.copy_(model(left, right).mean() + torch.zeros(8))  # pyright: ignore
        return model

    samples = qm.Samples((LEFT, RIGHT), Y)
    task = qm.Task(Two, recipe=train_once).of_inputs(samples.layout)
    [module] = train(Training(task, samples, np.ones((1, 80), dtype=bool), [0], 0, "loop"))
    fresh = task.build(seeds.integer(0, "shadow", 0, "weights"))
    bias = module.net[0].bias.detach()  # pyright: ignore
    torch.testing.assert_close(bias, fresh(torch.tensor(LEFT), torch.tensor(RIGHT)).mean().expand(8).detach())


@pytest.mark.slow
def test_the_very_model_and_versions_made_elsewhere_take_several_inputs():
    model = Two()
    versions = {"halves": lambda left, right: model(left, right).detach() / 2, "again": Two()}
    target = qm.Target(model, range(40), range(40, 80), versions=versions)
    result = qm.audit(qm.Task(Two), qm.Samples((LEFT, RIGHT), Y), target=target, quantizers=["sign"], progress=False)
    assert set(result.versions) == {"identity", "sign", "halves", "again"}
    assert result.versions["halves"]["utility"].value == result.versions["identity"]["utility"].value
    assert not model._forward_pre_hooks
    assert any("several inputs: input 0 [3] of float32" in note for note in result.document.data.notes)


def test_an_npz_file_names_the_arrays_of_a_forward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    np.savez(tmp_path / "data.npz", left=LEFT, right=RIGHT, y=Y)
    (tmp_path / "of_two_inputs.py").write_text(
        "import torch\nfrom torch import nn\n\n\nclass Two(nn.Module):\n    def __init__(self):\n"
        "        super().__init__()\n        self.net = nn.Linear(7, 2)\n\n    def forward(self, left, right):\n"
        "        return self.net(torch.cat([left, right.flatten(1)], dim=1))\n"
    )
    (tmp_path / "audit.toml").write_text(
        '[data]\nfile = "data.npz"\nfeatures = ["left", "right"]\n\n[model]\nfunction = "of_two_inputs:Two"\n\n'
        "[training]\nepochs = 1\n\n[audit]\nshadows = 8\n"
    )
    _, options, described = asked_of(tmp_path / "audit.toml", tmp_path / "out", {})
    request, member = checked(audit_request(*described, options))
    assert request.samples.layout is not None
    assert [part.name for part in request.samples.layout.parts] == ["left", "right"]
    assert member.shape[0] == 8


def test_what_cannot_be_several_inputs_is_refused():
    with pytest.raises(UserError, match="different numbers of samples"):
        qm.Samples({"left": LEFT, "right": RIGHT[:50]}, Y)
    with pytest.raises(UserError, match=r"text.*whole numbers above 16,777,216"):
        qm.Samples({"text": TOKENS + 2**25, "image": RIGHT}, Y)
    with pytest.raises(UserError, match=r"with left .* unexpected keyword") as refused:
        checked(audit_request(qm.Task(One), qm.Samples({"left": LEFT, "right": RIGHT}, Y), None, AuditOptions()))
    assert "one sample is" in (refused.value.hint or "")
    with pytest.raises(UserError, match="one array of tokens"):
        qm.Task.causal_lm(config={"model_type": "llama"}, hub="none").of_inputs(qm.Samples((LEFT, RIGHT), Y).layout)
