"""Settings of Kafka that tools look for and that have no meaning here: shown with Kafka's defaults, obeyed by nobody.

What Kafka lets an administrator change while it runs is kept when it is changed, so that a tool finds what it wrote. Parts of
Kafka that are not here (controllers' quorum, tiers, Kerberos, share and streams groups) have no settings either, but for
Kerberos's times, of which librdkafka's own test of AlterConfigs sets one.

Rules: names, types, defaults and what can be changed are those DescribeConfigs of Apache Kafka 4.3.1 tells, but for
replication factors, which are 1 on one node.
"""

import dataclasses
import math

from broker.config import MAX_INT, MAX_LONG
from broker.log.config import TopicSetting

DOC = "Has no meaning here; kept for tools."

_TABLE = """
authorizer.class.name str fixed ""
auto.leader.rebalance.enable bool fixed true
background.threads int dynamic 10
broker.rack str fixed
compression.gzip.level int dynamic -1
compression.lz4.level int dynamic 9
compression.zstd.level int dynamic 3
controlled.shutdown.enable bool fixed true
delete.records.purgatory.purge.interval.requests int fixed 1
fetch.purgatory.purge.interval.requests int fixed 1000
follower.replication.throttled.rate long dynamic
group.consumer.assignment.interval.ms int dynamic 1000
group.consumer.assignors list fixed uniform,range
group.consumer.max.assignment.interval.ms int fixed 15000
group.consumer.min.assignment.interval.ms int fixed 0
group.coordinator.append.linger.ms int fixed -1
group.coordinator.background.threads int fixed 2
group.coordinator.cached.buffer.max.bytes int dynamic 1048588
group.coordinator.threads int fixed 4
kafka.metrics.polling.interval.secs int fixed 10
kafka.metrics.reporters list fixed ""
leader.replication.throttled.rate long dynamic
log.cleaner.dedupe.buffer.size long dynamic 134217728
log.cleaner.io.buffer.load.factor float dynamic 0.9
log.cleaner.io.buffer.size int dynamic 524288
log.cleaner.io.max.bytes.per.second float dynamic 1.7976931348623157E308
log.cleaner.threads int dynamic 1
log.flush.interval.messages long dynamic 9223372036854775807
log.flush.scheduler.interval.ms long fixed 9223372036854775807
log.flush.start.offset.checkpoint.interval.ms int fixed 60000
log.preallocate bool dynamic false
log.retention.hours int fixed 168
log.retention.minutes int fixed
log.roll.hours int fixed 168
log.roll.jitter.hours int fixed 0
log.roll.jitter.ms long dynamic
log.segment.delete.delay.ms long dynamic 60000
max.connection.creation.rate int dynamic 2147483647
max.connections.per.ip int dynamic 2147483647
max.connections.per.ip.overrides str dynamic ""
max.incremental.fetch.session.cache.slots int fixed 1000
max.request.partition.size.limit int fixed 2000
num.io.threads int dynamic 8
num.network.threads int dynamic 3
num.recovery.threads.per.data.dir int dynamic 2
num.replica.fetchers int dynamic 1
offsets.commit.timeout.ms int fixed 5000
offsets.load.buffer.size int fixed 5242880
offsets.topic.compression.codec int fixed 0
offsets.topic.replication.factor int fixed 1
process.roles list fixed broker,controller
producer.purgatory.purge.interval.requests int fixed 1000
queued.max.request.bytes long fixed -1
replica.alter.log.dirs.io.max.bytes.per.second long dynamic
request.timeout.ms int fixed 30000
sasl.kerberos.min.time.before.relogin long dynamic 60000
sasl.kerberos.ticket.renew.jitter float dynamic 0.05
sasl.kerberos.ticket.renew.window.factor float dynamic 0.8
socket.connection.setup.timeout.max.ms long fixed 30000
socket.connection.setup.timeout.ms long fixed 10000
socket.listen.backlog.size int fixed 50
socket.receive.buffer.bytes int fixed 102400
socket.send.buffer.bytes int fixed 102400
transaction.partition.verification.enable bool dynamic true
transaction.remove.expired.transaction.cleanup.interval.ms int fixed 3600000
transaction.state.log.load.buffer.size int fixed 5242880
transaction.state.log.min.isr int fixed 1
transaction.state.log.replication.factor int fixed 1
transaction.state.log.segment.bytes int fixed 104857600
transaction.two.phase.commit.enable bool fixed false
unclean.leader.election.enable bool dynamic false
"""

SHOWN_WHEN_SET = frozenset(
    (
        "follower.replication.throttled.rate",
        "leader.replication.throttled.rate",
        "replica.alter.log.dirs.io.max.bytes.per.second",
    )
)
"""Limits that a tool sets for as long as it moves replicas; nobody has them otherwise."""


def _setting(line: str) -> TopicSetting:
    name, kind, _, *default = line.split(" ")
    high = {"int": MAX_INT, "long": MAX_LONG}.get(kind, math.inf)
    setting = TopicSetting(
        name,
        "int" if kind == "long" else kind,
        None,
        DOC,
        low=1 if name.endswith("threads") else 0 if name in SHOWN_WHEN_SET else -1,
        high=high,
        choices=(),
    )
    return dataclasses.replace(setting, default=setting.parse(default[0].strip('"'))) if default else setting


KEPT_SETTINGS = {setting.name: setting for setting in map(_setting, _TABLE.strip().splitlines())}
KEPT_DYNAMIC = frozenset(line.split(" ")[0] for line in _TABLE.strip().splitlines() if line.split(" ")[2] == "dynamic")
"""Those that AlterConfigs may change."""
