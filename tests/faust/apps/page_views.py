"""Page views per page and time: a repartition by a field, a tumbling and a hopping table, time from the events."""

import os
from datetime import timedelta

import faust


class PageView(faust.Record, serializer="json"):
    page: str
    user: str
    at: float


class PageCount(faust.Record, serializer="json"):
    page: str
    minute: int
    before: int
    hopping: int


app = faust.App("page-views", broker=os.environ.get("BROKER", "kafka://localhost:9092"), topic_partitions=2)
views = app.topic("views", value_type=PageView)
totals = app.topic("page-totals", key_type=str, value_type=PageCount)

per_minute = (
    app.Table("per_minute", default=int, partitions=2)
    .tumbling(timedelta(minutes=1), expires=timedelta(days=20000), key_index=True)
    .relative_to_field(PageView.at)
)
hopping = app.Table("per_hop", default=int, partitions=2).hopping(60, 20).relative_to_field(PageView.at)


@app.agent(views)
async def count_views(stream):
    async for view in stream.group_by(PageView.page, partitions=2):
        per_minute[view.page] += 1
        hopping[view.page] += 1
        await totals.send(
            key=view.page,
            value=PageCount(
                page=view.page,
                minute=per_minute[view.page].value(),
                before=per_minute.table[view.page, per_minute.table.window.delta(view.at, 60)],
                hopping=hopping[view.page].value(),
            ),
        )


if __name__ == "__main__":
    app.main()
