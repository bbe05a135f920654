"""The console of the command line: every string is plain text. Colour is passed separately.

rich reads ``[red]`` in a string as a colour and ``:smile:`` as a picture, and passes control characters on. What
commands print comes from vendors, files and folders, so here no string is markup.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import ProgressColumn
from rich.text import Text

from trading_dag.reporting.visible_text import visible

if TYPE_CHECKING:
    from rich.progress import Task

# The project's own texts have lines; one within data is shown by whoever makes the cell or the message.
_LINES = "\n"


class PlainConsole(Console):
    """Prints strings as plain text, in tables and titles too."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the string as text, with control characters made visible."""
        options.update(markup=False, emoji=False)
        return super().render_str(visible(text, keep=_LINES), **options)


class PlainDescription(ProgressColumn):
    """Shows what a task is working on, as plain text."""

    def render(self, task: Task) -> Text:
        """Return the description of the task."""
        return Text(visible(task.description))


def marked(mark: str, style: str, rest: Any = "") -> Text:
    """Return a word in a colour, followed by the rest of the line without colour."""
    return Text.assemble((visible(mark, keep=_LINES), style), visible(rest, keep=_LINES))
