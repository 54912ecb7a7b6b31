"""`python -m tests.broker.differential --seed S --count N`: N random requests to Apache Kafka 4.3.1 and to us."""

import argparse
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.apache_kafka.libraries import KafkaMissingError
from tests.apache_kafka.node import ApacheKafka
from tests.broker.differential.campaign import Campaign, Found
from tests.broker.process import BrokerProcess

KAFKA_SETTINGS = {
    "group.consumer.assignment.interval.ms": "0",
    "log.initial.task.delay.ms": "86400000",  # or its retention takes records of long ago away half a minute after its start
}
SETTINGS = ("--set=node.id=1", "--set=log.flush=os", "--set=group.initial.rebalance.delay.ms=0")
SHOWN_BEFORE = 40


def main() -> int:
    parser = argparse.ArgumentParser(prog="differential", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=2_000)
    parser.add_argument("--theirs", type=int, default=0, help="port of a running Apache Kafka")
    parser.add_argument("--salt", default="e", help="begins every name; a running broker wants a new one each time")
    parser.add_argument("--odd", type=float, default=0.0, help="share of requests with something odd in them")
    parser.add_argument("--story", action="store_true", help="print the requests before each difference")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headrace-differential-") as name:
        folder = Path(name)
        kafka = None
        if not arguments.theirs:
            try:
                kafka = ApacheKafka(folder / "kafka", KAFKA_SETTINGS).start()
            except KafkaMissingError as error:
                print(error, file=sys.stderr)
                return 2
        ours = BrokerProcess(folder / "data", *SETTINGS).start()
        try:
            campaign = Campaign(ours.port, kafka.port if kafka else arguments.theirs, arguments.salt, odd=arguments.odd)
            found = []
            for one in campaign.run(arguments.seed, arguments.count):
                found.append(one)
                print(f"episode {one.seed}: {one.signature[:200]}", file=sys.stderr, flush=True)
        finally:
            ours.stop()
            if kafka is not None:
                kafka.stop()
    report(campaign, found, story=arguments.story)
    return 1 if found else 0


def report(campaign: Campaign, found: list[Found], *, story: bool) -> None:
    first: dict[str, Found] = {}
    for one in found:
        first.setdefault(one.signature, one)
    for signature, count in Counter(one.signature for one in found).most_common():
        one = first[signature]
        print(f"{count} x {signature}\n    {one.request}\n    ours / theirs; episode {one.seed}")
        for request in one.before[-SHOWN_BEFORE:] if story else ():
            print(f"        {request}")
    print(f"{campaign.sent} requests of {len(campaign.kinds)} kinds (API and version), {len(found)} episodes differ")


if __name__ == "__main__":
    sys.exit(main())
