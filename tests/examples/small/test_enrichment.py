"""Enrichment against a real HTTP server that answers out of order."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
from aiohttp import web

from examples.small import enrichment
from examples.small.enrichment import Addressed, Order
from streams import Record
from streams.testing import TopologyTestDriver


class Service:
    """Customers by number; even numbers take longer, number 13 is nobody, 99 is an error."""

    def __init__(self) -> None:
        self.waiting = self.most_waiting = 0

    async def answer(self, request: web.Request) -> web.Response:
        number = int(request.match_info["number"])
        self.waiting += 1
        self.most_waiting = max(self.most_waiting, self.waiting)
        await asyncio.sleep(0.05 if number % 2 == 0 else 0.0)
        self.waiting -= 1
        if number in {13, 99}:
            return web.Response(status=404 if number == 13 else 500)
        return web.json_response({"name": f"customer {number}", "city": "Oslo"})


@pytest.fixture
def service() -> Iterator[Service]:
    """The service on a free port, in a thread of its own, where the example looks for it."""
    service, loop, ready = Service(), asyncio.new_event_loop(), threading.Event()
    before = enrichment.SERVICE

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/customers/{number}", service.answer)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        enrichment.SERVICE = f"http://127.0.0.1:{runner.addresses[0][1]}/customers"
        ready.set()
        await stop.wait()
        await runner.cleanup()

    stop = asyncio.Event()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert ready.wait(10)
    yield service
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
    enrichment.SERVICE = before


def test_orders_leave_as_they_came(service: Service) -> None:
    """Answers come out of order, results do not; who is not known is left out; several questions are open at a time."""
    numbers = [2, 1, 13, 4, 3, 6, 5]
    with TopologyTestDriver(enrichment.app) as driver:
        driver.input("orders").send_records(Record(str(number), Order(number, 5.0), 0) for number in numbers)
        results = driver.output("addressed_orders").read_values()
    assert results == [Addressed(5.0, f"customer {number}", "Oslo") for number in numbers if number != 13]
    assert service.most_waiting >= 1


def test_an_error_of_the_service_stops_at_its_order(service: Service) -> None:
    """What cannot be answered is an error with the order in it, and nothing after it is passed on."""
    with TopologyTestDriver(enrichment.app) as driver:
        driver.input("orders").send("1", Order(1, 5.0), 0)
        with pytest.raises(Exception, match="500"):
            driver.input("orders").send("99", Order(99, 5.0), 0)
        assert len(driver.output("addressed_orders").read()) == 1
