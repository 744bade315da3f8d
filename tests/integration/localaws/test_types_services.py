"""The types of SQS, Secrets Manager and Systems Manager, beyond the contract of all types."""

from __future__ import annotations

import json
from typing import Any

import grpc
import pytest
from botocore.exceptions import ClientError
from pulumi.runtime.proto import provider_pb2

from localaws.provider.values import Properties, from_struct, secret, to_struct
from tests.testing.aws_harness import PRIMARY, STANDBY
from tests.testing.iam_requests import document
from tests.testing.provider_engine import urn
from tests.testing.provider_harness import ProviderHarness
from tests.testing.stack_types.sqs import allow

pytestmark = pytest.mark.integration

QUEUE, SECRET, PARAMETER = (
    "aws:sqs/queue:Queue",
    "aws:secretsmanager/secret:Secret",
    "aws:ssm/parameter:Parameter",
)


def redrive(arn: str, times: Any) -> str:
    return json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": times})


def test_a_message_received_too_often_is_found_in_the_dead_letter_queue(
    provider_harness: ProviderHarness,
) -> None:
    sqs = provider_harness.root("sqs")
    _, dead, _ = provider_harness.made(QUEUE, {"name": "seawall-letters-dead"})
    about = {
        "name": "seawall-letters",
        "visibilityTimeoutSeconds": 0,
        "redrivePolicy": redrive(dead["arn"], 2),
    }
    url, _, _ = provider_harness.made(QUEUE, about)
    sqs.send_message(QueueUrl=url, MessageBody="order")
    received = [len(sqs.receive_message(QueueUrl=url).get("Messages", [])) for _ in range(3)]
    assert received == [1, 1, 0]
    assert [
        message["Body"] for message in sqs.receive_message(QueueUrl=dead["url"])["Messages"]
    ] == ["order"]


def test_a_dead_letter_queue_takes_only_from_queues_that_it_allows(
    provider_harness: ProviderHarness,
) -> None:
    _, dead, _ = provider_harness.made(
        QUEUE, {"name": "seawall-choosy", "redriveAllowPolicy": allow("seawall-friend")}
    )
    provider_harness.made(
        QUEUE, {"name": "seawall-friend", "redrivePolicy": redrive(dead["arn"], 3)}
    )
    with pytest.raises(grpc.RpcError, match="does not allow this source queue"):
        provider_harness.made(
            QUEUE, {"name": "seawall-stranger", "redrivePolicy": redrive(dead["arn"], 3)}
        )


def test_a_redrive_to_a_queue_that_does_not_exist_changes_nothing(
    provider_harness: ProviderHarness,
) -> None:
    url, state, inputs = provider_harness.made(QUEUE, {"name": "seawall-nowhere"})
    with pytest.raises(grpc.RpcError, match="does not exist"):
        provider_harness.engine.update(
            QUEUE,
            url,
            state,
            inputs,
            {**inputs, "redrivePolicy": redrive(f"{state['arn']}-dead", 3)},
        )
    assert provider_harness.engine.read(QUEUE, url, state, inputs) == (url, state, inputs)


def test_what_is_not_named_in_an_update_of_a_queue_stays(provider_harness: ProviderHarness) -> None:
    policy = document(
        {"Effect": "Allow", "Principal": "*", "Action": "sqs:SendMessage", "Resource": "*"}
    )
    url, state, inputs = provider_harness.made(QUEUE, {"name": "seawall-kept", "policy": policy})
    provider_harness.root("sqs").set_queue_attributes(
        QueueUrl=url, Attributes={"DelaySeconds": "7"}
    )
    _, _, described = provider_harness.engine.read(QUEUE, url, state, inputs)
    assert list(provider_harness.engine.diff(QUEUE, described, inputs).diffs) == ["delaySeconds"]


def test_a_queue_is_encrypted_by_one_of_two_means(provider_harness: ProviderHarness) -> None:
    url, state, inputs = provider_harness.made(
        QUEUE, {"name": "seawall-sealed", "sqsManagedSseEnabled": True}
    )
    key = {
        **{name: value for name, value in inputs.items() if name != "sqsManagedSseEnabled"},
        "kmsMasterKeyId": "alias/k",
    }
    state = provider_harness.engine.update(QUEUE, url, state, inputs, key)
    assert (state["sqsManagedSseEnabled"], state["kmsMasterKeyId"]) == (False, "alias/k")
    state = provider_harness.engine.update(QUEUE, url, state, key, inputs)
    assert (state["sqsManagedSseEnabled"], state.get("kmsMasterKeyId")) == (True, None)


def test_a_fifo_queue_has_what_only_such_queues_have(provider_harness: ProviderHarness) -> None:
    fifo: Properties = {
        "name": "seawall-thing.fifo",
        "fifoQueue": True,
        "contentBasedDeduplication": True,
    }
    url, state, inputs = provider_harness.made(
        QUEUE, {**fifo, "deduplicationScope": "messageGroup"}
    )
    assert provider_harness.engine.read(QUEUE, url, state, inputs) == (url, state, inputs)
    assert state["deduplicationScope"] == "messageGroup"
    assert list(
        provider_harness.engine.diff(QUEUE, inputs, {**inputs, "fifoQueue": False}).replaces
    ) == ["fifoQueue"]


def test_a_count_written_as_a_text_is_the_same_count(provider_harness: ProviderHarness) -> None:
    old, new = ({"name": "q", "redrivePolicy": redrive("arn", times)} for times in (5, "5"))
    assert list(provider_harness.engine.diff(QUEUE, old, new).diffs) == []
    assert list(
        provider_harness.engine.diff(QUEUE, old, {**new, "redrivePolicy": redrive("arn", 6)}).diffs
    ) == ["redrivePolicy"]


def test_a_policy_of_a_queue_that_was_widened_elsewhere_is_seen(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:sqs/queuePolicy:QueuePolicy"
    url, _, _ = provider_harness.made(QUEUE, {"name": "seawall-admits"})
    send = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}
    narrow, wide = (
        document({**send, "Principal": who})
        for who in ({"AWS": "arn:aws:iam::123456789012:root"}, {"AWS": "*"})
    )
    identifier, state, inputs = provider_harness.made(kind, {"queueUrl": url, "policy": narrow})
    provider_harness.root("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": wide})
    _, _, described = provider_harness.engine.read(kind, identifier, state, inputs)
    assert list(provider_harness.engine.diff(kind, described, inputs).diffs) == ["policy"]


def test_no_value_of_a_secret_is_ever_read(provider_harness: ProviderHarness) -> None:
    manager = provider_harness.root("secretsmanager")
    arn, state, inputs = provider_harness.made(
        SECRET, {"name": "seawall/rail", "replicas": [{"region": STANDBY}]}
    )
    manager.put_secret_value(SecretId=arn, SecretString="hunter2")
    answer = provider_harness.engine.read(SECRET, arn, state, inputs)
    assert answer == (arn, state, inputs)
    assert "hunter2" not in repr(provider_harness.engine.read(SECRET, arn, {}, {}))
    there = provider_harness.root("secretsmanager", region=STANDBY)
    assert there.get_secret_value(SecretId="seawall/rail")["SecretString"] == "hunter2"
    provider_harness.engine.delete(SECRET, arn, {**state, "recoveryWindowInDays": 0})


def test_a_secret_is_deleted_with_its_replicas_after_its_recovery_window(
    provider_harness: ProviderHarness,
) -> None:
    manager, there = (
        provider_harness.root("secretsmanager"),
        provider_harness.root("secretsmanager", region=STANDBY),
    )
    about = {"name": "seawall/slow", "replicas": [{"region": STANDBY}], "recoveryWindowInDays": 7}
    arn, state, inputs = provider_harness.made(SECRET, about)
    provider_harness.engine.delete(SECRET, arn, state)
    described = manager.describe_secret(SecretId=arn)
    assert 6 <= (described["DeletedDate"] - described["CreatedDate"]).days <= 7
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        there.describe_secret(SecretId="seawall/slow")
    assert provider_harness.engine.read(SECRET, arn, state, inputs)[0] == "", (
        "a secret about to go is gone, as upstream has it"
    )
    with pytest.raises(grpc.RpcError, match="seawall/slow"):
        provider_harness.made(SECRET, about)


def test_a_window_of_zero_days_leaves_the_name_free(provider_harness: ProviderHarness) -> None:
    arn, state, _ = provider_harness.made(
        SECRET, {"name": "seawall/quick", "recoveryWindowInDays": 0}
    )
    provider_harness.engine.delete(SECRET, arn, state)
    provider_harness.made(SECRET, {"name": "seawall/quick", "recoveryWindowInDays": 0})


def test_replicas_are_compared_by_region_and_key(provider_harness: ProviderHarness) -> None:
    here, other = {"region": PRIMARY}, {"region": STANDBY, "kmsKeyId": "alias/k"}
    old = {"name": "s", "replicas": [here, other]}
    same = {**old, "replicas": [other, {**here, "kmsKeyId": "alias/aws/secretsmanager"}]}
    assert list(provider_harness.engine.diff(SECRET, old, same).diffs) == []
    assert list(provider_harness.engine.diff(SECRET, old, {**old, "replicas": [here]}).diffs) == [
        "replicas"
    ]


def test_a_policy_that_the_secret_does_not_declare_is_left_alone_and_an_empty_one_takes_it_away(
    provider_harness: ProviderHarness,
) -> None:
    kind = "aws:secretsmanager/secretPolicy:SecretPolicy"
    arn, state, inputs = provider_harness.made(SECRET, {"name": "seawall/guarded"})
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    identifier, guard, declared = provider_harness.made(kind, {"secretArn": arn, "policy": policy})
    changed = {**inputs, "description": "two"}
    state = provider_harness.engine.update(SECRET, arn, state, inputs, changed)
    assert provider_harness.engine.read(kind, identifier, guard, declared) == (
        identifier,
        guard,
        declared,
    )
    provider_harness.engine.update(SECRET, arn, state, changed, {**changed, "policy": "{}"})
    assert provider_harness.engine.read(kind, identifier, guard, declared)[0] == ""


def test_a_value_is_marked_secret_on_the_way_to_the_engine(
    provider_harness: ProviderHarness,
) -> None:
    about = {"name": "/seawall/marked", "type": "SecureString", "value": "hunter2"}
    name, _, _ = provider_harness.made(PARAMETER, about)
    answer = provider_harness.engine.stub.Read(
        provider_pb2.ReadRequest(urn=urn(PARAMETER), id=name, properties=to_struct({}))
    )
    for described in (answer.properties, answer.inputs):
        assert from_struct(described)["value"] == secret("hunter2")


def test_an_existing_parameter_is_taken_over_only_with_overwrite(
    provider_harness: ProviderHarness,
) -> None:
    provider_harness.root("ssm").put_parameter(
        Name="/seawall/theirs", Value="theirs", Type="String"
    )
    about = {"name": "/seawall/theirs", "type": "String", "value": "ours", "tags": {"a": "1"}}
    with pytest.raises(grpc.RpcError, match="ParameterAlreadyExists"):
        provider_harness.made(PARAMETER, about)
    _, state, _ = provider_harness.made(PARAMETER, {**about, "overwrite": True})
    assert (state["value"], state["version"], state["tags"]) == ("ours", 2, {"a": "1"})


def test_a_value_matches_its_pattern_also_when_another_client_puts_it(
    provider_harness: ProviderHarness,
) -> None:
    about = {
        "name": "/seawall/switch",
        "type": "String",
        "value": "armed",
        "allowedPattern": "^(armed|safe)$",
    }
    with pytest.raises(grpc.RpcError, match="ParameterPatternMismatchException"):
        provider_harness.made(PARAMETER, {**about, "value": "perhaps"})
    provider_harness.made(PARAMETER, about)
    with pytest.raises(ClientError, match="ParameterPatternMismatchException"):
        provider_harness.root("ssm").put_parameter(
            Name="/seawall/switch", Value="perhaps", Overwrite=True
        )


def test_a_description_that_is_no_longer_declared_is_emptied(
    provider_harness: ProviderHarness,
) -> None:
    about = {"name": "/seawall/terse", "type": "String", "value": "a"}
    name, state, inputs = provider_harness.made(
        PARAMETER, {**about, "description": "wordy", "allowedPattern": "a"}
    )
    state = provider_harness.engine.update(PARAMETER, name, state, inputs, about)
    assert (state.get("description", ""), state.get("allowedPattern", "")) == ("", "")


def test_an_advanced_parameter_does_not_become_a_standard_one(
    provider_harness: ProviderHarness,
) -> None:
    about = {"name": "/seawall/big", "type": "String", "value": "a", "tier": "Advanced"}
    name, state, inputs = provider_harness.made(PARAMETER, about)
    with pytest.raises(grpc.RpcError, match="downgrade"):
        provider_harness.engine.update(
            PARAMETER, name, state, inputs, {**inputs, "tier": "Standard"}
        )
    assert (
        list(
            provider_harness.engine.diff(
                PARAMETER, inputs, {**inputs, "tier": "Intelligent-Tiering"}
            ).diffs
        )
        == []
    )
