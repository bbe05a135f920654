"""The console of the command line: every string is text. What is to have a colour says so beside the text.

rich takes ``[red]`` in a string for a colour and ``:smile:`` for a picture, and hands control characters on. What
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
    """A console to which strings are text, in tables and titles too."""

    def render_str(self, text: str, **options: Any) -> Text:
        """Return the string as text, control characters shown."""
        options.update(markup=False, emoji=False)
        return super().render_str(visible(text, keep=_LINES), **options)


class PlainDescription(ProgressColumn):
    """What a task is at, as text."""

    def render(self, task: Task) -> Text:
        """Return the description of the task."""
        return Text(visible(task.description))


def marked(mark: str, style: str, rest: Any = "") -> Text:
    """Return a word in a colour, and the rest of the line without."""
    return Text.assemble((visible(mark, keep=_LINES), style), visible(rest, keep=_LINES))
