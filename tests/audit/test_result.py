"""Claims about what a notebook shows of an audit."""

import sys

import pytest
from documents import document

import quantmis as qm
from quantmis import results


def test_a_frame_has_a_row_for_each_version_and_an_interval_beside_each_number():
    frame = qm.AuditResult(document()).frame()
    assert frame["version"].tolist() == [row.name for row in document().ranking.rows]
    assert (frame["utility_low"] <= frame["utility"]).all()
    assert (frame["utility"] <= frame["utility_high"]).all()


def test_a_frame_without_pandas_is_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(qm.UserError, match="a data frame needs pandas"):
        qm.AuditResult(document()).frame()


def test_a_notebook_shows_the_ranking_and_escapes_names():
    shown = qm.AuditResult(document())._repr_html_()
    assert "ternary(sparsity=0.9)" in shown
    hostile = document().model_dump_json().replace('"sign"', '"<script>alert(1)</script>"')
    assert "<script>" not in qm.AuditResult(results.parse(hostile.encode()))._repr_html_()
