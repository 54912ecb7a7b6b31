"""What a broker without authorizer and tokens, on a listener without logins, answers, as Apache Kafka 4.3.1 does; and credentials that are kept."""

import pytest

DESCRIBE_ACLS, CREATE_ACLS, HANDSHAKE, AUTHENTICATE, DESCRIBE_TOKENS = 29, 30, 17, 36, 41
DESCRIBE_SCRAM, ALTER_SCRAM, MOVE_REPLICAS, DESCRIBE_LOG_DIRS = 50, 51, 34, 35
SHA_256, SHA_512 = 1, 2


def test_refusals(wire) -> None:
    """ACLs are disabled, SASL has no place, tokens are not for the anonymous."""
    answer = wire.call(DESCRIBE_ACLS, 3, resource_type_filter=2, pattern_type_filter=1, operation=2, permission_type=2)
    assert (answer.error_code, answer.error_message is None) == (54, False)
    acl = {"resource_type": 2, "resource_name": "x", "resource_pattern_type": 3, "operation": 3, "permission_type": 3}
    assert [item.error_code for item in wire.call(CREATE_ACLS, 3, creations=[acl, acl]).results] == [54, 54]
    assert wire.call(HANDSHAKE, 1, mechanism="PLAIN").error_code == 34
    assert wire.call(AUTHENTICATE, 2, auth_bytes=b"x").error_code == 34
    assert wire.call(DESCRIBE_TOKENS, 3, owners=None).error_code == 64


def test_credentials_are_kept(wire) -> None:
    """What is set can be described and deleted, and is refused with Kafka's codes where it cannot be."""
    setting = {"name": "user", "mechanism": SHA_256, "iterations": 8192, "salt": b"salt", "salted_password": b"p" * 32}
    assert wire.call(ALTER_SCRAM, 0, upsertions=[setting]).results[0].error_code == 0
    described = wire.call(DESCRIBE_SCRAM, 0, users=None).results
    assert [(item.user, item.credential_infos[0].iterations) for item in described] == [("user", 8192)]
    deletion = {"name": "user", "mechanism": SHA_256}
    assert wire.call(ALTER_SCRAM, 0, upsertions=[setting], deletions=[deletion]).results[0].error_code == 92
    assert wire.call(ALTER_SCRAM, 0, deletions=[deletion]).results[0].error_code == 0
    assert wire.call(ALTER_SCRAM, 0, deletions=[deletion]).results[0].error_code == 91
    assert wire.call(DESCRIBE_SCRAM, 0, users=[{"name": "user"}]).results[0].error_code == 91


def test_one_credential_of_a_user_in_a_request(wire) -> None:
    """A user altered twice in a request is refused as a whole, though the mechanisms differ; other users are not."""
    sha_256, sha_512 = (
        {"name": "one", "mechanism": mechanism, "iterations": 8192, "salt": b"salt", "salted_password": b"p" * 32}
        for mechanism in (SHA_256, SHA_512)
    )
    assert wire.call(ALTER_SCRAM, 0, upsertions=[sha_512]).results[0].error_code == 0
    deletion = {"name": "one", "mechanism": SHA_512}
    for changes in (
        {"upsertions": [sha_256, sha_512]},
        {"upsertions": [sha_256], "deletions": [deletion]},
        {"upsertions": [{**sha_256, "salted_password": b""}, sha_512]},
    ):
        changes["upsertions"].append({**sha_256, "name": "two"})
        results = wire.call(ALTER_SCRAM, 0, **changes).results
        assert {item.user: item.error_code for item in results} == {"one": 92, "two": 0}
    described = wire.call(DESCRIBE_SCRAM, 0, users=[{"name": "one"}]).results[0]
    assert [info.mechanism for info in described.credential_infos] == [SHA_512]


@pytest.mark.parametrize(
    ("change", "code"),
    [({"iterations": 1}, 93), ({"mechanism": 9}, 33), ({"name": ""}, 93), ({"salted_password": b""}, -1)],
)
def test_bad_credentials(wire, change: dict, code: int) -> None:
    """Too few iterations, no such mechanism, nobody, no password: each has its code."""
    setting = {"name": "u", "mechanism": SHA_256, "iterations": 8192, "salt": b"salt", "salted_password": b"p" * 32}
    assert wire.call(ALTER_SCRAM, 0, upsertions=[{**setting, **change}]).results[0].error_code == code


def test_partitions_stay_in_the_one_directory(wire) -> None:
    """A partition may move to where it is, and nowhere else."""
    here = wire.call(DESCRIBE_LOG_DIRS, 4, topics=None).results[0].log_dir
    topics = [{"name": "__consumer_offsets", "partitions": [0, 99]}]
    moved = wire.call(MOVE_REPLICAS, 2, dirs=[{"path": here, "topics": topics}]).results[0].partitions
    assert {item.partition_index: item.error_code for item in moved} == {0: 0, 99: 3}
    lost = wire.call(MOVE_REPLICAS, 2, dirs=[{"path": "elsewhere", "topics": topics}]).results[0].partitions
    assert {item.error_code for item in lost} == {57}
