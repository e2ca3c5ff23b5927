"""Claims about what is said of an audit before it is run."""

import time
from dataclasses import replace

import numpy as np
import pytest
from resumable import requested
from sklearn.datasets import load_digits
from torch import nn

import quantmis as qm
from quantmis.analysis import analyse
from quantmis.analysis.controls import controls
from quantmis.analysis.scoring import each_other
from quantmis.audit.estimate import attack_timing
from quantmis.audit.estimate.plan import measure as planned
from quantmis.audit.estimate.plan import planned as whole_plan
from quantmis.audit.execution.afterwards import seconds_afterwards
from quantmis.audit.execution.assembling import assemble
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.execution.progress import Lines
from quantmis.audit.options import AuditOptions
from quantmis.audit.request import audit_request

FITTED = ["sign", "protective(bits=3, iterations=2)"]


@pytest.mark.slow
@pytest.mark.parametrize("every", [1, 2])
def test_the_attacks_take_about_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch, every: int):
    monkeypatch.setattr(attack_timing, "EVERY", every)
    monkeypatch.setattr(attack_timing, "ENOUGH", 20)
    monkeypatch.setattr(time, "perf_counter", time.process_time)  # other programs are not what is measured
    request = requested(recipe=qm.Recipe(epochs=1), checkpoint_every=None)
    request = replace(request, settings=replace(request.settings, attacks=(qm.attacks.LiRA(),)))
    whole = plan(request, membership(planted(request), request.settings, None), None)
    said = planned(whole, request.settings).attack
    every_table = assemble(whole, collect(whole, Local(), None, tick=lambda done: None).groups)
    tables, noises = every_table[:3], every_table[3:]
    start = time.process_time()
    settings = request.settings.analysis
    controls(analyse(tables, each_other(tables), settings).tables, noises, settings)
    taken = time.process_time() - start
    assert taken / 3 < said < 3 * taken


def test_the_timings_of_the_engine_are_what_is_said_at_first(capsys: pytest.CaptureFixture[str]):
    whole = plan(request := requested(), membership(planted(request), request.settings, None), None)
    assert whole.expected is None
    timed = replace(whole, engine=replace(whole.engine, seconds={"stacked": 0.5}))
    assert timed.expected == pytest.approx(0.5 * len(whole.member) * whole.steps)
    tick = Lines().stage("train", 1000, timed.expected)
    tick(1)
    assert f"about {timed.expected:.0f} s left" in capsys.readouterr().err
    assert np.isfinite(timed.expected)


def test_the_first_line_tells_what_the_stages_that_follow_take_too(capsys: pytest.CaptureFixture[str]):
    tick = Lines().stage("train", 100, 12.0, after=8.0)
    assert capsys.readouterr().err == "train: started, about 12 s left of it, 20 s of the audit\n"
    tick(100)
    assert "train: done in" in capsys.readouterr().err


def test_what_follows_the_training_grows_with_versions_and_with_losses():
    request = requested()
    work = plan(request, membership(planted(request), request.settings, None), None)
    alone, with_target = (seconds_afterwards(work, request.settings, versions) for versions in (0, 3))
    wider = replace(work, member=np.repeat(work.member, 50, axis=1))
    assert 0 < alone < with_target
    assert alone < seconds_afterwards(wider, request.settings, 0)


@pytest.mark.slow
def test_a_target_and_versions_that_are_fitted_count_in_what_is_said():
    x, y = load_digits(return_X_y=True)
    samples = qm.Samples((x[:1400] / 16).astype(np.float32), y[:1400])
    task = qm.Task(lambda: nn.Linear(64, 10), recipe=qm.Recipe(epochs=1))
    target = qm.Target(nn.Linear(64, 10), np.arange(500), np.arange(500, 1000))
    said = [
        whole_plan(audit_request(task, samples, each, AuditOptions.of(shadows=8), None, "", FITTED, None))
        for each in (None, target)
    ]
    assert said[1].attack > 1.2 * said[0].attack
    assert said[1].report > said[0].report
