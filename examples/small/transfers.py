"""Transfers between accounts, exactly once: no money is made and none is lost, whatever is killed when.

    transfers ──► (by sender) withdraw ──► deposits ──► (by receiver) deposit
                       └──► refused

An account lives in one task, so that two transfers cannot spend the same money. The deposit goes through a topic to the
task of the receiver: for a moment it is in neither account, and under exactly-once it can neither be lost nor doubled.
"""

from __future__ import annotations

import msgspec

from streams import App, Processor, Record, key_value_store

OPENING = 1_000
"""What every account starts with, in cents."""


class Transfer(msgspec.Struct):
    """Who pays whom how much."""

    sender: str
    receiver: str
    cents: int


class Entry(msgspec.Struct):
    """What happens to one account: money out (below 0) or in."""

    cents: int
    transfer: Transfer


PARTITIONS = 2
app = App("transfers", processing_guarantee="exactly_once_v2", commit_interval_ms=100)
transfers = app.topic("transfers", key=str, value=Transfer)
deposits = app.topic("deposits", key=str, value=Entry, partitions=PARTITIONS)
balances = app.topic("balances", key=str, value=int)
refused = app.topic("refused", key=str, value=Transfer)


class Accounts(Processor):
    """Keeps the balances; an entry that would overdraw its account is refused."""

    balances = key_value_store("accounts", key=str, value=int)

    def process(self, record: Record) -> None:
        """Book one entry, or refuse it; money that leaves is forwarded to its receiver."""
        account, entry = record.key, record.value
        before = self.balances.get(account)
        balance = (OPENING if before is None else before) + entry.cents
        if entry.cents == 0 or balance < 0:
            self._forward(account, entry.transfer, record)
            return
        self.balances.put(account, balance)
        self._forward(account, balance, record)
        if entry.cents < 0:
            self._forward(entry.transfer.receiver, Entry(-entry.cents, entry.transfer), record)

    def _forward(self, key: str, value: int | Entry | Transfer, record: Record) -> None:
        self.context.forward(Record(key, value, record.timestamp))


withdrawals = (
    app.stream(transfers)
    .map(lambda _, transfer: (transfer.sender, Entry(-abs(transfer.cents), transfer)), key=str, value=Entry)
    .repartition(name="by-sender", partitions=PARTITIONS)
)
results = withdrawals.merge(app.stream(deposits)).process(Accounts, name="accounts")
for kind, topic in ((int, balances), (Entry, deposits), (Transfer, refused)):
    results.filter(lambda _, result, kind=kind: isinstance(result, kind)).to(topic)

if __name__ == "__main__":
    app.main()
