"""Card fraud, by session: payments of a card that follow each other within ten minutes belong together.

A session is suspicious when it has five payments, or two countries. Sessions that meet become one, and so do their
countries; each session is reported once, however long it goes on.
"""

from __future__ import annotations

import msgspec

from streams import App, Processor, Record, SessionWindows, Windowed, key_value_store

MANY_PAYMENTS = 5


class Payment(msgspec.Struct):
    """A payment by card."""

    amount: float
    country: str
    at_ms: int


class Session(msgspec.Struct):
    """Payments that belong together."""

    payments: int = 0
    amount: float = 0.0
    countries: list[str] = []


class Alert(msgspec.Struct):
    """Why a session is suspicious, and what it had come to."""

    reason: str
    payments: int
    amount: float


app = App("fraud")
payments = app.topic("payments", key=str, value=Payment, timestamp="at_ms")
alerts = app.topic("alerts", key=str, value=Alert)


def paid(_card: str, payment: Payment, session: Session) -> Session:
    return joined(_card, session, Session(1, payment.amount, [payment.country]))


def joined(_card: str, one: Session, other: Session) -> Session:
    countries = sorted({*one.countries, *other.countries})
    return Session(one.payments + other.payments, round(one.amount + other.amount, 2), countries)


def reason(session: Session) -> str | None:
    if len(session.countries) > 1:
        return f"paid in {' and '.join(session.countries)}"
    return f"{session.payments} payments in a row" if session.payments >= MANY_PAYMENTS else None


class Once(Processor):
    """Lets one alert of a session through: it remembers where the last reported one of a card ended."""

    reported = key_value_store("reported", key=str, value=int)

    def process(self, record: Record) -> None:
        """Forward an alert unless this session, or what it grew from, has had one."""
        window: Windowed = record.key
        why = reason(record.value)
        if why is None:
            return
        if (until := self.reported.get(window.key)) is None or until < window.start_ms:
            alert = Alert(why, record.value.payments, record.value.amount)
            self.context.forward(Record(window.key, alert, record.timestamp))
        self.reported.put(window.key, max(until or 0, window.end_ms))


(
    app.stream(payments)
    .group_by_key()
    .windowed_by(SessionWindows.with_inactivity_gap("10 minutes", grace="1 minute"))
    .aggregate(Session, paid, joined, name="sessions")
    .to_stream()
    .filter(lambda _, session: session is not None)
    .process(Once)
    .to(alerts)
)

if __name__ == "__main__":
    app.main()
