"""The decorators of functions that are told how stores are restored and kept warm."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from streams.dsl.signatures import Names
from streams.restore_events import RestoreEvent, StandbyEvent

F = TypeVar("F", bound=Callable[..., Any])


class RestoreDecorators:
    """What the decorators of an App inherit."""

    _names: Names

    def __init__(self) -> None:
        self.restore_functions: list[Callable[[RestoreEvent], Any]] = []
        self.standby_functions: list[Callable[[StandbyEvent], Any]] = []

    def on_restore(self, function: F) -> F:
        """Call `function(event)` as stores are restored, global ones too: a `RestoreEvent` (Kafka's StateRestoreListener).

        It is called on the processing thread, which restores nothing meanwhile; what it raises ends the worker.
        """
        self._names.user(function, "on_restore").expect_parameters(1, meaning="(event)")
        self.restore_functions.append(function)
        return function

    def on_standby(self, function: F) -> F:
        """Call `function(event)` as standbys are kept warm: a `StandbyEvent` (Kafka's StandbyUpdateListener).

        It is called as `on_restore` calls.
        """
        self._names.user(function, "on_standby").expect_parameters(1, meaning="(event)")
        self.standby_functions.append(function)
        return function
