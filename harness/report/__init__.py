"""A session as a summary, and the three faces of it: terminal text, JSON and an HTML page."""

from harness.report.distributions import Distributions, distributions
from harness.report.page import render_page
from harness.report.summary import SessionSummary, summarise, summary_json
from harness.report.text import item_line, summary_text

__all__ = [
    "Distributions",
    "SessionSummary",
    "distributions",
    "item_line",
    "render_page",
    "summarise",
    "summary_json",
    "summary_text",
]
