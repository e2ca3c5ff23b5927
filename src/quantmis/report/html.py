"""The report as one self-contained page.

Everything is inside the file: styles, script and figures, so that it opens from a disk, from an attachment and in a
room without a network. The Content-Security-Policy allows nothing but the one stylesheet and the one script that the
page was rendered with, by their digests; even a name that slipped through the escaping could load and run nothing.
"""

import base64
import hashlib
import re
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from typing import Any

import jinja2
from markupsafe import Markup, escape

from quantmis.report import (
    canaries,
    certified,
    exposed,
    extraction,
    forgotten,
    glossary,
    released,
    secrets,
    tables,
    tested,
    words,
)
from quantmis.report.cautions import blind, hinted
from quantmis.report.choices import choices
from quantmis.report.drawn import OWN_ATTACKS, Drawn, OwnFigures, drawn
from quantmis.report.expectations import summary
from quantmis.report.findings import finding_entries, linked
from quantmis.report.framework import built_in
from quantmis.report.gaps import gaps
from quantmis.report.reading import about_model, numbers
from quantmis.report.verdict import Sentence, verdict
from quantmis.results import Results, TargetResult, to_bytes
from quantmis.results.seal import SAID, sealing

TEXT_LIMIT = 600
DEPTHS = {
    "as-is": "The model was attacked as it is, without training another one.",
    "indicator": "A few models were trained again on other halves of the samples, and compared.",
    "shadow": "Many models were trained again on other halves of the samples, so that for every sample there are "
    "models that saw it and models that did not; each served once as the model under attack.",
}


def render(results: Results, document: bytes | None = None, figures: Drawn | None = None) -> str:
    """Return the report of an audit as the text of one HTML file.

    `document` holds the bytes of the results.json that was read, by default those that `results` is written as. Where
    they are not as they were sealed the page says so; it names the digest of those that are written. `figures`: those
    of the document where they were drawn before.
    """
    all_gaps, figures = gaps(results), figures or drawn(results)
    notes = {gap.reason: number for number, gap in enumerate(all_gaps, 1)}
    drawings = {
        "front": figures.front,
        "indicator": figures.indicator,
        "security": figures.security,
        "classes_drawn": figures.classes_drawn,
        "rocs": figures.rocs,
    }
    checks, comparisons = exposed.controls(results, notes)
    listed = {
        "checks": checks,
        "comparisons": comparisons,
        "own": _own(results, figures.own, notes),
        "choices": choices(results, notes),
        "ranking": tables.ranking(results, notes),
        "attacks": tables.attacks(results, notes),
        "releases": released.released(results, notes),
        "forgotten": forgotten.forgotten(results, notes),
        "certified": certified.certified(results, notes),
        "agreements": tables.agreements(results, notes),
        "silent": words.some(tables.silent_agreements(results), most=6),
        "theory": exposed.theory(results, notes),
        "versions": exposed.versions(results, notes),
        "classes": exposed.classes(results, notes),
        "samples": exposed.samples(results, notes),
        "canaries": canaries.planted(results, notes),
        "extraction": extraction.extracted(results, notes),
        "secrets": secrets.named(results, notes),
        "by_chance": exposed.by_chance(results),
        "without_samples": exposed.without_samples(results),
        "loss_tables": exposed.tables_of(results, notes),
    }
    whole = to_bytes(results)
    origin = {"digest": sha256(whole).hexdigest(), "broken": SAID[sealing(results, document or whole)]}
    return _page(results, {**drawings, **listed, **origin, "gaps": all_gaps, "notes": notes}, figures.sheet)


def _own(results: Results, figures: OwnFigures | None, notes: tables.Notes) -> dict[str, Any] | None:
    """Return the figures and tables about the very model that was given beside models trained like it."""
    view = about_model(results)
    if view is None or figures is None:
        return None
    number = numbers(results)
    return {
        "front": figures.front,
        "beside": figures.beside,
        "rocs": figures.rocs,
        "attacks": tables.attacks(view, notes, OWN_ATTACKS, number),
        "others": max(0, len(results.config.attacks) - OWN_ATTACKS),
        "classes": exposed.classes(view, notes),
        "classes_drawn": figures.classes_drawn,
    }


def renderer() -> str:
    """Return by which versions pages are rendered here: others may draw the same document differently."""
    return ", ".join(f"{name} {version(name)}" for name in ("quantmis", "matplotlib", "jinja2"))


def _page(results: Results, parts: dict[str, Any], figure_styles: str) -> str:
    sentences = verdict(results)
    spoken = [(each.kind, _sentence_markup(each.text, results)) for each in sentences]
    loud = _first(sentences)
    return fill(
        "report.html",
        results,
        figure_styles,
        asset("report.js"),
        first=[spoken[index] for index in range(len(spoken)) if index in loud],
        further=[spoken[index] for index in range(len(spoken)) if index not in loud],
        frameworks=[summary(each, results) for each in built_in()],
        depth=DEPTHS[results.config.depth],
        glossary=glossary.glossary(),
        attack_words={
            **glossary.attack_words({name: each.description for name, each in results.attacks.items()}),
            **released.joint_words(results),
        },
        target=results.target if isinstance(results.target, TargetResult) else None,
        blind=blind(results),
        hinted=hinted(results),
        tried=tested.said_executed(results),
        untried=[each for each in (tested.said_omitted(results), tested.said_outside()) if each],
        findings=finding_entries(results.warnings),
        **parts,
    )


def _first(sentences: list[Sentence]) -> set[int]:
    """Return which sentences of a verdict are read at once: what is alarming, what leads, and what lessens it."""
    opening = next((index for index, each in enumerate(sentences) if each.kind == "detail"), len(sentences))
    loud = ("alarm", "headline")
    return {
        index
        for index, each in enumerate(sentences)
        if each.kind in loud or (each.kind == "caution" and index < opening)
    }


def fill(template: str, results: Results, styles: str = "", script: str = "", **parts: Any) -> str:
    """Return a page of ours about an audit as text: a template filled with `parts`."""
    return filled(environment().get_template(template), styles, script, results=results, **parts)


def filled(template: jinja2.Template, styles: str, script: str, **parts: Any) -> str:
    """Return a page of ours as text, under a policy of its own that allows its stylesheet and script alone."""
    style = f"{asset('report.css')}\n{styles}\n"
    return template.render(
        style=Markup(style),  # noqa: S704 -- our own file
        script=Markup(script),  # noqa: S704 -- our own file
        policy=policy(style, script),
        renderer=renderer(),
        **parts,
    )


def policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy that allows this stylesheet and this script, and nothing else."""
    allowed = f"style-src {_digest(style)}; script-src {_digest(script)}; img-src data:"
    return f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'"


def _digest(content: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()}'"


@cache
def environment() -> jinja2.Environment:
    """Return how pages are made from templates: all that is put into one is cleaned and escaped."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("quantmis.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_disarmed,
    )
    environment.filters |= {
        "name": words.clean,
        "number": words.number,
        "breakable": _breakable,
        "moment": words.moment,
        "svg": Markup,
        "command": _command,
        "unbroken": _unbroken,
    }
    return environment


def _disarmed(value: Any) -> Any:
    """Clean every string on its way into the page; what was escaped on purpose (`Markup`) stays."""
    return words.clean(value, TEXT_LIMIT) if isinstance(value, str) and not isinstance(value, Markup) else value


def _unbroken(sentence: str) -> str:
    return sentence.replace(" %", "\N{NO-BREAK SPACE}%")


def _sentence_markup(sentence: str, results: Results) -> Markup:
    """Return a sentence with commands as code, and with links from the codes of findings to where these stand."""
    safe = str(escape(words.clean(_unbroken(sentence), TEXT_LIMIT * 3)))
    coded = re.sub(r"`(quantmis \w+)`", r"<code>\1</code>", safe)
    return Markup(linked(coded, results.warnings))  # noqa: S704 -- escaped above


def _breakable(name: str) -> Markup:
    """Let a name break where its parameters begin rather than in the middle of a word."""
    text = str(escape(_disarmed(name))).replace("&#34;", '"').replace("(", "(<wbr>")
    return Markup(text)  # noqa: S704 -- escaped above; a quotation mark in a text ends nothing


def _command(text: str) -> Markup:
    """Keep the lines of a command, each cleaned."""
    return Markup("\n").join(words.clean(line, TEXT_LIMIT) for line in text.splitlines()[:100])


def asset(name: str) -> str:
    """Return the text of a stylesheet or script of the report."""
    source = environment().loader
    assert source is not None  # noqa: S101 -- for the type checker: the environment is made with one
    return source.get_source(environment(), name)[0]
