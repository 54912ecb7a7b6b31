"""The right answers, by DuckDB over the same events, and what a program wrote, in the same form: rows to be compared.

Rules: the SQL is written from the questions, not from the programs. Where a program keeps a table, the last update of
each key counts; where it keeps a stream, every record does. DuckDB is a development dependency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import duckdb
import msgspec
import pandas as pd

from benchmarks.load import Input
from benchmarks.nexmark import queries
from benchmarks.nexmark.events import Auction, Bid, Person, auctions, bids, persons, side
from streams import App, Record

Row = tuple[Any, ...]

TYPES = {"persons": Person, "auctions": Auction, "bids": Bid}
HOPS = "unnest(range(time_ms // 2000 * 2000 - 8000, time_ms // 2000 * 2000 + 1, 2000))"


@dataclass(frozen=True)
class Query:
    """A question: its inputs, the SQL that answers it, and the row that an output record of the program stands for."""

    name: str
    asks: str
    inputs: tuple[Callable[[int], Input], ...]
    sql: str
    row: Callable[[Any, Any], Row]
    table: bool = False
    """Whether only the last update of each key counts."""
    by_the_clock: bool = False
    """Whether its windows are those of the clock on the wall: then only the sum over them is known beforehand."""

    @property
    def program(self) -> App:
        """The program that answers it."""
        program: App = getattr(queries, self.name)
        return program

    def answer(self, inputs: Sequence[Input]) -> Counter[Row]:
        """The right rows for these inputs, with how often each occurs."""
        with duckdb.connect() as database:
            for source in inputs:
                database.register(source.topic, _frame(source))
            return Counter(tuple(row) for row in database.execute(self.sql).fetchall())

    def written(self, records: Iterable[Record[Any, Any]]) -> Counter[Row]:
        """What these output records come to, in the same form."""
        if not self.table:
            return Counter(self.row(record.key, record.value) for record in records)
        latest = {record.key: record.value for record in records}
        rows: Iterator[Row] = (self.row(key, value) for key, value in latest.items() if value is not None)
        return _totals(rows) if self.by_the_clock else Counter(rows)


def _totals(rows: Iterable[Row]) -> Counter[Row]:
    """Windows by the clock on the wall fall as they may; what holds is the sum over all windows of a bidder."""
    totals: Counter[int] = Counter()
    for bidder, count in rows:
        totals[bidder] += count
    return Counter(totals.items())


def _frame(source: Input) -> pd.DataFrame:
    if source.topic == "side":
        rows = [
            (int.from_bytes(key, "big"), value.decode())
            for keys, values, _ in source.chunks()
            for key, value in zip(keys, values, strict=True)
        ]
        return pd.DataFrame(rows, columns=["number", "text"])
    decoder = msgspec.json.Decoder(TYPES[source.topic])
    fields = decoder.type.__struct_fields__
    rows = [msgspec.structs.astuple(decoder.decode(value)) for _, values, _ in source.chunks() for value in values]
    return pd.DataFrame(rows, columns=list(fields))


QUERIES = {
    query.name: query
    for query in (
        Query(
            "q0",
            "pass through",
            (bids,),
            "select * from bids",
            lambda _, bid: (bid.auction, bid.bidder, bid.price, bid.channel, bid.time_ms),
        ),
        Query(
            "q1",
            "currency conversion",
            (bids,),
            "select auction, bidder, 0.908::double * price, time_ms from bids",
            lambda _, bid: (bid.auction, bid.bidder, bid.price, bid.time_ms),
        ),
        Query(
            "q2",
            "selection",
            (bids,),
            "select auction, price from bids where auction % 123 = 0",
            lambda _, offer: (offer.auction, offer.price),
        ),
        Query(
            "q3",
            "local items: table-table foreign-key join",
            (persons, auctions),
            """select p.name, p.city, p.state, a.id from auctions a join persons p on a.seller = p.id
               where a.category = 10 and p.state in ('OR', 'ID', 'CA')""",
            lambda _, item: (item.name, item.city, item.state, item.auction),
            table=True,
        ),
        Query(
            "q4",
            "average winning price per category: stream-table join, fold with retraction",
            (auctions, bids),
            """select category, sum(final)::bigint, count(*) from (
                   select a.id, a.category, max(b.price) as final from auctions a join bids b
                   on a.id = b.auction and b.time_ms between a.time_ms and a.expires_ms group by a.id, a.category
               ) group by category""",
            lambda category, average: (category, average.total, average.count),
            table=True,
        ),
        Query(
            "q5",
            "hot items: hopping window, then the most per window",
            (bids,),
            f"""with counts as (
                    select start, auction, count(*) as number
                    from (select auction, {HOPS} as start from bids) group by start, auction
                )
                select start, number, string_agg(auction, ' ' order by auction) from (
                    select * from counts qualify number = max(number) over (partition by start)
                ) group by start, number""",
            lambda start, hottest: (start, hottest.bids, " ".join(map(str, sorted(hottest.auctions)))),
            table=True,
        ),
        Query(
            "q7",
            "highest bid per window",
            (bids,),
            """select time_ms // 10000 * 10000 as start, price, auction, bidder from bids
               qualify row_number() over (partition by start order by price desc, time_ms, auction, bidder) = 1""",
            lambda start, bid: (start, bid.price, bid.auction, bid.bidder),
            table=True,
        ),
        Query(
            "q8",
            "new sellers: two streams in one window",
            (persons, auctions),
            """select p.id, p.time_ms // 10000 * 10000 as start, p.name, count(*) from persons p join auctions a
               on a.seller = p.id and a.time_ms // 10000 = p.time_ms // 10000 group by p.id, start, p.name""",
            lambda windowed, newcomer: (windowed.key, windowed.start_ms, newcomer.name, newcomer.auctions),
            table=True,
        ),
        Query(
            "q11",
            "bids per bidder and session",
            (bids,),
            """with marked as (
                   select bidder, time_ms, coalesce(time_ms - lag(time_ms) over w > 10000, true)::int as fresh
                   from bids window w as (partition by bidder order by time_ms)
               ), numbered as (
                   select *, sum(fresh) over (partition by bidder order by time_ms) as session from marked
               )
               select bidder, min(time_ms), max(time_ms), count(*) from numbered group by bidder, session""",
            lambda windowed, count: (windowed.key, windowed.start_ms, windowed.end_ms, count),
            table=True,
        ),
        Query(
            "q12",
            "bids per bidder by the clock on the wall",
            (bids,),
            "select bidder, count(*) from bids group by bidder",
            lambda windowed, count: (windowed.key, count),
            table=True,
            by_the_clock=True,
        ),
        Query(
            "q13",
            "side input: global table",
            (bids, side),
            "select b.auction, b.bidder, b.price, s.text from bids b join side s on b.auction % 1000 = s.number",
            lambda _, placed: (placed.auction, placed.bidder, placed.price, placed.side),
        ),
    )
}
"""By name; 6, 9 and 10 are left out, as usual where no file system or per-auction history is asked for."""
