"""The real `pulumi` brings the whole stack up, leaves it when unchanged, and takes it down."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from coincurve import PublicKey
from Crypto.Hash import keccak

from localaws.provider.registry import RESOURCES
from sandbox import stack
from sandbox.identities import create_identities
from seawall.errors import ServiceError, UsageError
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client, running_aws
from tests.testing.engine_harness import POLICY, ROOT, EngineHarness, running_engine
from tests.testing.inventory import everything
from tests.testing.sdk_names import inputs_of_type, unknown_fields

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHarness]:
    with running_engine(tmp_path_factory.mktemp("stack")) as found:
        yield found


def standing_in(harness: EngineHarness) -> dict[str, list[str]]:
    """List everything in AWS that the provider can make, in both regions."""
    return everything(
        partial(client, endpoint=harness.endpoint, who=ROOT_KEY), regions=(PRIMARY, STANDBY)
    )


def names_unknown_to_the_sdk(harness: EngineHarness) -> list[str]:
    """List the names of the stack's inputs that the installed SDK does not have at that place."""
    recorded = json.loads(harness.pulumi("stack", "export"))["deployment"]["resources"]
    ours = [each for each in recorded if each["type"] in RESOURCES]
    assert ours
    return [
        f"{each['type']} {name}"
        for each in ours
        for name in unknown_fields(
            each["inputs"], {**inputs_of_type(each["type"]), "tagsAll": {}, "__defaults": {}}
        )
    ]


@pytest.mark.nightly  # tests/drill/test_kept_sandbox.py takes the same stack through the same steps
def test_the_stack_lives_through_the_real_engine(harness: EngineHarness) -> None:
    """Up, outputs that sign, no change on preview and up, no drift, and nothing after destroy."""
    empty = standing_in(harness)
    stack_file = (ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_bytes()
    said: list[str] = []
    stack.up(harness.settings, report=said.append)
    assert said[-1].startswith("stack is up, ")

    outputs = stack.outputs(harness.settings)
    assert set(outputs) == {
        "regions",
        "policy_digest",
        "deletion",
        "signers",
        "approvers",
        "principals",
        "trail",
        "evidence_bucket",
        "topics",
        "pages",
        "alarms",
        "backup",
        "kit",
        "rails",
        "served",
        "monitoring",
        "gamedays",
    }
    assert outputs["policy_digest"] == POLICY.infrastructure_digest
    assert set(outputs["signers"]) == set(POLICY.signing_wallets())
    assert len({signer["address"] for signer in outputs["signers"].values()}) == len(
        outputs["signers"]
    )
    for region in (PRIMARY, STANDBY):
        assert recovered(harness, outputs["signers"]["customer-aster-hot"], region)
    assert {role["trusts"] for role in outputs["principals"].values()} <= {
        arn for _, arn in leaves(harness.identities.principals())
    }

    standing = standing_in(harness)
    assert standing[f"{PRIMARY} kms list_keys"] != empty[f"{PRIMARY} kms list_keys"]
    assert names_unknown_to_the_sdk(harness) == []
    harness.pulumi("preview", "--expect-no-changes")
    stack.up(harness.settings, report=said.append)
    assert said[-1] == "stack is up, 0 resources made or changed"
    harness.pulumi("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert standing_in(harness) == standing

    harness.pulumi("destroy", "--yes", "--skip-preview")
    assert standing_in(harness) == empty
    assert (ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_bytes() == stack_file


def leaves(tree: Any) -> Iterator[tuple[str, str]]:
    """Names and texts at the ends of a tree."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield name, value


def recovered(harness: EngineHarness, signer: dict[str, Any], region: str) -> bool:
    """Tell whether the signer of ``region`` signs, through its role, for the declared address."""
    sts = client(
        "sts",
        harness.endpoint,
        harness.identities.signers[region][signer["bucket"]].environment(),
        region=region,
    )
    got = sts.assume_role(RoleArn=signer["roles"][region], RoleSessionName="test")["Credentials"]
    who = {"AWS_ACCESS_KEY_ID": got["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"]}
    kms = client(
        "kms", harness.endpoint, {**who, "AWS_SESSION_TOKEN": got["SessionToken"]}, region=region
    )
    digest = hashlib.sha256(b"payout").digest()
    kms.sign(
        KeyId=signer["key_id"],
        Message=digest,
        MessageType="DIGEST",
        SigningAlgorithm="ECDSA_SHA_256",
    )
    point = PublicKey(kms.get_public_key(KeyId=signer["key_id"])["PublicKey"][-65:]).format(
        compressed=False
    )[1:]
    return bool(
        "0x" + keccak.new(digest_bits=256, data=point).hexdigest()[-40:] == signer["address"]
    )


@pytest.mark.nightly  # a sandbox starts with them in tests/drill/test_environments.py
def test_the_users_own_aws_and_proxy_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A developer's shell has a profile, perhaps a broken file, and a proxy without loopback."""
    broken = tmp_path / "config"
    broken.write_text("[profile", encoding="utf-8")
    with running_aws() as endpoint, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        for name in ("HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{closed.getsockname()[1]}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
            monkeypatch.setenv(name, str(broken))
        for name in ("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_SESSION_TOKEN"):
            monkeypatch.setenv(name, "nonsense")
        monkeypatch.setenv("AWS_USE_FIPS_ENDPOINT", "true")
        assert set(create_identities(endpoint=endpoint, policy=POLICY).signers) == {
            PRIMARY,
            STANDBY,
        }


def test_an_aws_that_does_not_answer_is_one_clear_line() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(
            ServiceError, match="the sandbox's AWS refused to make its users: Could not connect"
        ):
            create_identities(endpoint=f"http://127.0.0.1:{closed.getsockname()[1]}", policy=POLICY)


def test_a_stack_that_trusts_other_principals_is_refused_before_anything_is_made(
    harness: EngineHarness,
) -> None:
    ours = harness.identities.principals()
    others = replace(
        harness.settings, principals={**ours, "admins": {**ours["admins"], "escrow": "arn:other"}}
    )
    with pytest.raises(
        UsageError,
        match=r"does not trust .*\(write under seawall:principals: admins.escrow: arn:other\)$",
    ):
        stack.up(others, report=print)
    with pytest.raises(UsageError, match=r"principals: no gamedays\)$"):
        stack.up(
            replace(
                harness.settings,
                principals={name: ours[name] for name in ours if name != "gamedays"},
            ),
            report=print,
        )


def test_the_error_of_a_failing_program_has_pulumis_own_words(
    harness: EngineHarness, tmp_path: Path
) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(json.dumps({"policy": "wrong"}), encoding="utf-8")
    with pytest.raises(
        ServiceError, match=r"(?s)^pulumi up --yes ended with .*venue: found nothing; add it"
    ):
        stack.up(replace(harness.settings, policy_path=wrong), report=print)
