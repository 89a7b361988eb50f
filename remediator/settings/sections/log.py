"""The settings of what is logged."""

from typing import Literal

from remediator.settings.sections.section import Section


class LogSettings(Section):
    """What is logged, to standard error."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important level that is logged."""
    style: Literal["text", "json"] = "text"
    """`text` for people, `json` for collectors."""
