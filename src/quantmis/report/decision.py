"""Which version may ship, as far as an audit can say: what the choice is between, how exposed, how sure.

An audit measures; it knows no limit. So the sentences name the versions that the measurements speak for, on which
ground, and leave the decision to whoever sets a limit, which `quantmis gate` holds an audit against.
"""

import math

from quantmis.measures.most_exposed_samples import MOST_EXPOSED_SAMPLES
from quantmis.measures.perplexity import LOG_LIKELIHOOD
from quantmis.report.cautions import confounded, failed_controls
from quantmis.report.price import bargains, recommended
from quantmis.report.reading import (
    COIN,
    attacker,
    baseline,
    lead,
    least_exposed,
    metric,
    rate,
    rates_digits,
    utility_change,
)
from quantmis.report.words import fixed, is_share, percent, plainly, significant, some, title
from quantmis.results import Results, VersionResult
from quantmis.stats import Estimate, Unmeasured

MAY = "Which version may ship, as far as this audit can tell"
GATE = "Whether that is little enough is for your limits to say: `quantmis gate` holds the audit against them."


def decision(results: Results) -> str | None:
    """Name the versions that the measurements speak for, each with how exposed it is."""
    if len(results.versions) < 2:
        return None
    if failed_controls(results):
        return f"{MAY}: none can be named, because the audit failed its own checks."
    if confounded(results):
        return f"{MAY}: none can be named, because members and non-members differ without the model."
    candidates, view = recommended(results), lead(results)
    if not candidates:
        alike = "full precision" if baseline(view) else "any other"
        return f"{MAY}: none gives away measurably less than {alike}, so choose by size and utility. {GATE}"
    return f"{MAY}: {'; or '.join(_ground(results, record) for record in reversed(candidates))}. {GATE}"


def _ground(results: Results, record: VersionResult) -> str:
    view = lead(results)
    name, exposed = title(record.name), _exposure(view, record)
    if record in bargains(results):
        useful = plainly(metric(view.versions))
        return f"{name}, where {useful} must not measurably drop ({exposed}{_still_allowed(view, record)})"
    least = least_exposed(view)
    which = "the most useful of the least exposed" if len(least) > 1 else "the least exposed"
    utility_words = ", where little exposure is worth its price" if baseline(view) else ""
    return f"{name}, {which}{utility_words} ({exposed}{_at_most_more(view, record) if len(least) > 1 else ''})"


def _at_most_more(view: Results, record: VersionResult) -> str:
    """Say how much more the most useful of tied versions may give away than the least exposed."""
    more = next((row.at_most_more for row in view.ranking.rows if row.name == record.name), None)
    if more is None:
        return ""
    return f"; at most {fixed(100 * more, 1)} points more than about the least exposed, whichever of all that is"


def _still_allowed(view: Results, record: VersionResult) -> str:
    """Say how large a loss of utility the data still allow."""
    whole, useful = baseline(view), metric(view.versions)
    change = utility_change(record, whole) if whole else None
    if not isinstance(change, Estimate) or change.low >= 0:
        return ""
    if useful == LOG_LIKELIHOOD:
        return f"; perplexity may be up to {fixed(math.exp(-change.low), 2)} times that of full precision"
    lost = f"{fixed(-100 * change.low, 1)} points" if is_share(useful) else significant(-change.low)
    return f"; a loss of up to {lost} of {plainly(useful)} stays possible"


def _exposure(view: Results, record: VersionResult) -> str:
    simultaneous = next((row.chosen for row in view.ranking.rows if row.name == record.name), None)
    right = simultaneous or attacker(record)
    if isinstance(right, Unmeasured):
        return "how often an attacker is right was not measured"
    value, low, high = rate(right, rates_digits(view))
    sure = f"{percent(right.level)} interval {low.removesuffix(' %')} to {high}"
    if simultaneous and len(view.ranking.rows) > 1:
        sure += f", which holds for all {len(view.ranking.rows)} versions together"
    return f"an attacker is right {value} of the time, {sure}"


def worst_off(results: Results) -> str | None:
    """Say how exposed the most exposed single record is under the versions that the choice is between."""
    by_name = {record.name: record for record in results.versions}
    candidates = [by_name[each.name] for each in recommended(results) if each.name in by_name]
    worst = {record.name: each for record in candidates if (each := _worst(record))}
    by_chance = [name for name, each in worst.items() if each.low <= COIN]
    phrases = [f"under {title(name)} {_stands_out(each)}" for name, each in worst.items() if name not in by_chance]
    if by_chance:
        names, models = some(list(map(title, by_chance))), by_name[by_chance[0]].models
        phrases.append(f"under {names} no single record could be shown to be exposed beyond chance ({models} models)")
    return f"The worst-off record: {'; '.join(phrases)}." if phrases else None


def _worst(record: VersionResult) -> Estimate | None:
    samples = record[MOST_EXPOSED_SAMPLES]
    exposures = [] if isinstance(samples, Unmeasured) else [each.exposure for each in samples]
    return max(exposures, key=lambda each: (each.low, each.value), default=None)


def _stands_out(worst: Estimate) -> str:
    value, low, high = rate(worst, 0)
    return f"a model that was trained on it stands out {value} of the time ({low.removesuffix(' %')} to {high})"
