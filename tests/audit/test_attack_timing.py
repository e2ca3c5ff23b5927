"""Claims about what is said of an audit before it is run."""

import time
from dataclasses import replace

import numpy as np
import pytest
from resumable import assignment

import quantmis as qm
from quantmis.audit.estimate import attack_timing as rehearsal
from quantmis.audit.execution.collect import collect
from quantmis.audit.execution.executors import Local
from quantmis.audit.estimate.plan import measure as planned
from quantmis.audit.execution.planning import membership, plan, planted
from quantmis.audit.execution.progress import Lines
from quantmis.audit.run import control
from quantmis.analysis.subject import each_other, measure
from quantmis.tables.loss_table import assemble


@pytest.mark.parametrize("every", [1, 2])
def test_the_attacks_take_about_as_long_as_was_said(monkeypatch: pytest.MonkeyPatch, every: int):
    monkeypatch.setattr(rehearsal, "EVERY", every)
    monkeypatch.setattr(rehearsal, "ENOUGH", 20)
    monkeypatch.setattr(time, "perf_counter", time.process_time)  # other programs are not what is measured
    asked = assignment(recipe=qm.Recipe(epochs=1), checkpoint_every=None)
    asked = replace(asked, settings=replace(asked.settings, attacks=(qm.attacks.LiRA(),)))
    whole = plan(asked, membership(planted(asked), asked.settings, None), None)
    said = planned(whole, asked.settings).attack
    every_table = assemble(whole, collect(whole, Local(), None, tick=lambda done: None).groups)
    tables, noises = every_table[:3], every_table[3:]
    start = time.process_time()
    control(measure(tables, each_other(tables), asked.settings).tables, noises, asked.settings)
    taken = time.process_time() - start
    assert taken / 3 < said < 3 * taken


def test_the_timings_of_the_engine_are_what_is_said_at_first(capsys: pytest.CaptureFixture[str]):
    whole = plan(asked := assignment(), membership(planted(asked), asked.settings, None), None)
    assert whole.expected is None
    timed = replace(whole, engine=replace(whole.engine, seconds={"stacked": 0.5}))
    assert timed.expected == pytest.approx(0.5 * len(whole.member) * whole.steps)
    tick = Lines().stage("train", 1000, timed.expected)
    tick(1)
    assert f"about {timed.expected:.0f} s left" in capsys.readouterr().err
    assert np.isfinite(timed.expected)
