"""Balances under exactly_once: payments change a table, and each new balance is told, in one transaction."""

import os

import faust


class Payment(faust.Record):
    account: str
    amount: int


app = faust.App(
    "accounts",
    broker=os.environ.get("BROKER", "kafka://localhost:9092"),
    processing_guarantee="exactly_once",
    topic_partitions=2,
    store=os.environ.get("STORE", "rocksdb://"),
    broker_commit_interval=0.3,
)
payments = app.topic("payments", key_type=str, value_type=Payment)
balances_topic = app.topic("balances", key_type=str, value_type=int)
balances = app.Table("balances", default=int, key_type=str, value_type=int)


@app.agent(payments)
async def pay(stream):
    async for payment in stream:
        balances[payment.account] += payment.amount
        await balances_topic.send(key=payment.account, value=balances[payment.account])


if __name__ == "__main__":
    app.main()
