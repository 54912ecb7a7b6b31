"""What a person sees."""

from io import StringIO

from rich.console import Console

from examples.taxi.board import Board
from examples.taxi.email import Mailer
from examples.taxi.ledger import Ledger
from examples.taxi.messages import Confirmed, Takings
from streams import Connection


def test_the_busiest_zones_come_first(connection: Connection) -> None:
    """The table has the zones by rides, with their names, fares and the mean; only the busiest."""
    output, ledger = StringIO(), Ledger(connection)
    ledger.zones.update({number: Takings(number, 10.0 * number) for number in range(1, 30)} | {132: Takings(99, 5_000)})
    with Board(Console(file=output, width=100), ledger, rides=4):
        pass
    rows = [line for line in output.getvalue().splitlines() if "$" in line]
    assert len(rows) == 12
    assert rows[0].replace("│", " ").split() == ["JFK", "Airport", "Queens", "99", "5,000.00", "$", "50.51", "$"]
    assert [row.split("│")[3].strip() for row in rows[1:]] == [str(number) for number in range(29, 18, -1)]


def test_a_terminal_gets_a_live_table_and_some_emails(connection: Connection) -> None:
    """On a terminal the table refreshes and emails are shown a few a second; all are counted."""
    output, ledger = StringIO(), Ledger(connection)
    console = Console(file=output, force_terminal=True, width=100)
    mailer = Mailer(console)
    with Board(console, ledger, rides=4) as board:
        for ride in range(1, 51):
            mailer.send(Confirmed(ride, "Astoria", "Queens", "driver_001", 12.5))
        while "50 emails" not in output.getvalue():
            board.show(mailer.sent)
    assert mailer.sent == 50
    assert 1 <= output.getvalue().count("driver_001") < 10


def test_elsewhere_emails_are_only_counted() -> None:
    """A log file is not filled with emails."""
    output = StringIO()
    mailer = Mailer(Console(file=output))
    mailer.send(Confirmed(1, "Astoria", "Queens", "driver_001", 12.5))
    assert mailer.sent == 1
    assert output.getvalue() == ""
