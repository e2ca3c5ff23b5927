"""From results.json to the page that people read. Reads results and statistics only; never imports torch."""

from quantmis.report.html import render
from quantmis.report.terminal import table, verdict_lines

__all__ = ["render", "table", "verdict_lines"]
