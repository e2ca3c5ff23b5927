"""The report in Markdown, short enough for a pull request: the verdict, the ranking, what to keep in mind.

Names come from the user and Markdown has no sandbox: everything that could become a link, an image, a mention, HTML or
another cell of a table is written so that it stays text.
"""

import re
from collections.abc import Sequence

from quantmis.documents.source import Source, audited
from quantmis.measures.bits_per_weight import BITS_PER_WEIGHT
from quantmis.measures.distortion import DISTORTION
from quantmis.measures.release_attack_accuracy import RELEASE_ATTACK_ACCURACY
from quantmis.measures.release_gain import RELEASE_GAIN
from quantmis.measures.release_strongest_alone import RELEASE_STRONGEST_ALONE
from quantmis.measures.utility import UTILITY
from quantmis.report import words
from quantmis.report.cells import Cell, rights
from quantmis.report.forgotten import forgotten as section
from quantmis.report.gaps import gaps
from quantmis.report.reading import attacker, displayed_utility, metric, ordered
from quantmis.report.released import adds_most, called, points
from quantmis.report.verdict import verdict
from quantmis.results import Finding, ReleaseResult, Results, ResultSubject, VersionResult, standing
from quantmis.stats import Estimate, Unmeasured

SPECIAL = re.compile(r"([\\`*_{}\[\]#!|~$^])")
LINKS = re.compile(r"(?i)@|://|www\.")
TEXT_LIMIT = 600
MOST_GAPS = 12


def render(source: Source) -> bytes:
    """Return the report of an audit as Markdown in UTF-8."""
    title = f"## Privacy audit of {plain(source.results.config.model)}"
    return f"{title}\n\n{body(source, level=3)}\n".encode()


def body(source: Source, level: int) -> str:
    """Return the report without its title; `level` is that of its headings."""
    results, heading = source.results, "#" * level
    parts = [
        f"**{plain(source.broken)}. What follows may not be what the audit measured.**" if source.broken else "",
        sentences(results),
        *(_ranking(subject, heading) for subject in audited(results)),
        *(together(subject, heading) for subject in audited(results)),
        forgotten(results, heading),
        _findings(results.warnings, heading),
        _not_measured(results),
        _origin(source),
    ]
    return "\n\n".join(filter(None, parts))


def plain(text: str, limit: int = TEXT_LIMIT) -> str:
    r"""Return text that Markdown shows as it is: no markup, no link, no mention.

    >>> plain("ping @me [x](http://y)"), plain("a|b")
    ('ping @<!-- -->me \\[x\\](http:<!-- -->//y)', 'a\\|b')
    """
    safe = words.clean(text, limit).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return LINKS.sub(_broken, SPECIAL.sub(r"\\\1", safe))


def _broken(link: re.Match[str]) -> str:
    """Put an empty comment into what would become a link or a mention."""
    return f"{link[0][:1]}<!-- -->{link[0][1:]}"


def sentences(results: Results) -> str:
    """Return the verdict: what leads in bold, each sentence a paragraph."""
    loud = {"alarm", "headline", "decision"}
    return "\n\n".join(
        f"**{plain(each.text)}**" if each.kind in loud else plain(each.text) for each in verdict(results)
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _ranking(subject: ResultSubject, heading: str) -> str:
    head = [
        "Rank",
        "Version",
        "An attacker is right",
        words.capital(words.plainly(metric(subject.versions))),
        "Bits per weight",
        "Distortion",
        "Cannot be told from",
    ]
    accuracies = rights([attacker(record) for record in subject.versions], {})
    cells = dict(zip([record.name for record in subject.versions], accuracies, strict=True))
    rows = [
        [
            standing(rank, len(tied)),
            plain(words.title(record.name)),
            _right(record, cells[record.name]),
            _utility(record),
            bits(record),
            _distortion(record),
            plain(words.some([words.title(name) for name in tied])) or words.NONE,
        ]
        for rank, record, tied in subject.ordered
    ]
    title = f"{heading} The versions of {subject.about}, {ordered(subject.versions)}"
    return f"{title}\n\n{table([head[0], *map(plain, head[1:])], rows)}"


def together(subject: ResultSubject, heading: str = "") -> str:
    """Return what the release sets of a subject give away, as Markdown; an empty text without any."""
    if not subject.releases:
        return ""
    head = ["Released together", "An attacker with all is right", "With the strongest alone", "Gained, points"]
    rows = [[plain(called(each, subject)), *_of_set(each)] for each in subject.releases]
    title = f"{heading} Versions of {subject.about} released together\n\n" if heading else ""
    most = [plain(sentence) for each in subject.releases if (sentence := adds_most(each))]
    return f"{title}{table(head, rows)}" + "".join(f"\n\n{each}" for each in most)


def forgotten(results: Results, heading: str = "") -> str:
    """Return what is left of what was to be forgotten, as Markdown; an empty text where nothing was."""
    content = section(results, {})
    if content is None:
        return ""
    rows = [[plain(row.name), *(_cell(each) for each in row.cells)] for row in content.table.rows]
    title = f"{heading} What is left of {content.records:,} records that were to be forgotten\n\n" if heading else ""
    sentences = "".join(f"\n\n{plain(each)}" for each in content.sentences)
    return f"{title}{table([*map(plain, content.table.head)], rows)}{sentences}"


def _cell(cell: Cell) -> str:
    return plain(f"{cell.text} ({cell.interval})" if cell.interval else cell.text)


def _of_set(release: ReleaseResult) -> list[str]:
    gain = release[RELEASE_GAIN]
    gained = plain(gain.reason, 200) if isinstance(gain, Unmeasured) else points(gain)
    return [share(release[RELEASE_ATTACK_ACCURACY]), share(release[RELEASE_STRONGEST_ALONE]), gained]


def _right(record: VersionResult, cell: Cell) -> str:
    right = attacker(record)
    return share(right) if isinstance(right, Unmeasured) else f"{cell.text} ({cell.interval})"


def share(quantity: Estimate | Unmeasured, digits: int | None = None) -> str:
    """Write a share in per cent with its interval, or why there is none, as Markdown.

    >>> share(Estimate(0.5731, 0.561, 0.584)), share(Estimate(0.5731, 0.561, 0.584), digits=1)
    ('57 % (56 to 58 %)', '57.3 % (56.1 to 58.4 %)')
    """
    if isinstance(quantity, Unmeasured):
        return plain(f"not measured: {quantity.reason}", 200)
    places = min(1, words.places(100 * words.reach(quantity))) if digits is None else digits
    value, low, high = (words.percent(each, places) for each in (quantity.value, quantity.low, quantity.high))
    return f"{value} ({low.removesuffix(' %')} to {high})"


def _utility(record: VersionResult) -> str:
    utility = record[UTILITY]
    if isinstance(utility, Unmeasured) or words.is_share(record.utility_metric):
        return share(utility)
    return plain(words.number(displayed_utility(record)))


def _distortion(record: VersionResult) -> str:
    value = record[DISTORTION]
    return words.NONE if isinstance(value, Unmeasured) else words.fixed(value, 3)


def bits(record: VersionResult) -> str:
    """Write the bits per weight as Markdown."""
    value = record[BITS_PER_WEIGHT]
    return plain(value.reason, 200) if isinstance(value, Unmeasured) else f"{value:.3g}"


def _findings(findings: Sequence[Finding], heading: str) -> str:
    if not findings:
        return ""
    listed = "\n".join(f"- **{plain(each.code)}** {plain(each.text)}" for each in findings)
    return f"{heading} Keep in mind\n\n{listed}"


def _not_measured(results: Results) -> str:
    all_gaps = gaps(results)
    if not all_gaps:
        return ""
    lines = [f"- {plain(gap.reason)}: {plain('; '.join(gap.places))}" for gap in all_gaps[:MOST_GAPS]]
    more = [f"- and {len(all_gaps) - MOST_GAPS} other reasons, in the report"] if len(all_gaps) > MOST_GAPS else []
    summary = f"<summary>What was not measured, and why: {len(all_gaps)}</summary>"
    return "\n".join(["<details>", summary, "", *lines, *more, "", "</details>"])


def _origin(source: Source) -> str:
    config, version = source.results.config, source.results.environment.versions.get("quantmis", "")
    trained = max(config.shadows, config.replicates)
    models = f"{trained} models trained for it" if trained else "no model trained for it"
    level = words.percent(config.level)
    return (
        f"<sub>quantmis {plain(version)}, depth {config.depth}, {models}, {level} intervals; "
        f"results.json has SHA-256 `{source.digest}`.</sub>"
    )
