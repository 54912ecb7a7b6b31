"""Signals: functions of the application that are called when something happens to it, as Faust's `app.on_configured`.

Rules: those about settings are called when the settings are first asked for, and before anything uses them; the others
while a worker runs. What a function of a running worker raises is logged.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable
from typing import Any

log = logging.getLogger(__name__)


class Signal:
    """Something that happens, and who wants to hear of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.functions: list[Callable[..., Any]] = []

    def connect(self, function: Callable[..., Any] | None = None, **_options: Any) -> Any:
        """Have a function called: `@app.on_configured.connect`, with or without parentheses."""
        if function is None:
            return self.connect
        self.functions.append(function)
        return function

    def disconnect(self, function: Callable[..., Any], **_options: Any) -> None:
        """No longer."""
        if function in self.functions:
            self.functions.remove(function)

    def send(self, *arguments: Any) -> None:
        """Call them, one after the other. Raises: what they do."""
        for function in self.functions:
            function(*arguments)

    async def send_all(self, *arguments: Any) -> None:
        """Call them where a worker runs, and wait for those that are async."""
        for function in self.functions:
            try:
                result = function(*arguments)
                if inspect.isawaitable(result):
                    await result
            except Exception:
                log.exception("a function for %s raised", self.name)

    def __repr__(self) -> str:
        return f"<Signal: {self.name}>"
