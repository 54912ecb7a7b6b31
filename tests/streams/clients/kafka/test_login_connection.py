"""Logins that last for a time: a connection renews its own, and nothing that is sent over it is lost or overtaken."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, SaslAuthenticationFailed
from aiokafka.protocol.metadata import MetadataRequest

from streams.clients.kafka.cluster_client import cluster_client
from tests.broker.secured import knowing_ann

pytestmark = pytest.mark.broker

LIFETIME_MS = 1_200
"""Longer than the second within which nobody may log in twice."""
LOGIN = {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": "ann", "sasl_plain_password": "secret"}
MECHANISMS = ("PLAIN", "SCRAM-SHA-512")


async def outlive(client: Any, times: int) -> list[Any]:
    """Ask for the metadata several times at once, again and again when a login has ended; the connections it went over."""
    (broker,) = client.cluster.brokers()
    connections = []
    for _ in range(times):
        asked = [client.send(broker.nodeId, MetadataRequest([])) for _ in range(5)]
        answers = await asyncio.gather(*asked)
        assert all(answer.brokers for answer in answers)
        connections.append(next(iter(client._conns.values())))
        await asyncio.sleep(LIFETIME_MS / 1000)
    return connections


def connection_settings(address: str, mechanism: str, **settings: Any) -> dict[str, Any]:
    """Of a client that logs in."""
    return {"bootstrap_servers": [address], "sasl_mechanism": mechanism, **LOGIN, **settings}


@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_a_connection_outlives_its_login(tmp_path: Path, mechanism: str) -> None:
    """It logs in again before what would come too late: no request fails, and the connection stays."""

    async def run(address: str) -> None:
        client: Any = cluster_client(creates_topics=False, **connection_settings(address, mechanism))
        await client.bootstrap()
        try:
            connections = await outlive(client, 3)
            assert connections == connections[:1] * 3
        finally:
            await client.close()

    with knowing_ann(tmp_path, "SASL_PLAINTEXT", f"--set=connections.max.reauth.ms={LIFETIME_MS}") as broker:
        asyncio.run(run(broker.address))
        assert "has expired" not in broker.log


def test_a_login_that_is_not_renewed(tmp_path: Path) -> None:
    """Whose password was changed meanwhile: all that was held back fails with the broker's reason, and the connection ends."""

    async def run(address: str) -> None:
        client: Any = cluster_client(creates_topics=False, **connection_settings(address, "PLAIN"))
        await client.bootstrap()
        try:
            (connection,) = await outlive(client, 1)
            connection._sasl_plain_password = "changed"
            frames = connection._protocol
            for answer in [frames.send(MetadataRequest([])) for _ in range(3)]:
                with pytest.raises(KafkaConnectionError) as told:
                    await answer
                assert isinstance(told.value.__cause__, SaslAuthenticationFailed)
            assert not connection.connected()
        finally:
            await client.close()

    with knowing_ann(tmp_path, "SASL_PLAINTEXT", f"--set=connections.max.reauth.ms={LIFETIME_MS}") as broker:
        asyncio.run(run(broker.address))
