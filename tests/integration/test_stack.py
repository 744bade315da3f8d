"""The real `pulumi` command brings the whole stack up in the sandbox, leaves it alone when nothing
changed, and takes it down.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from coincurve import PublicKey
from Crypto.Hash import keccak

from localaws.provider.registry import RESOURCES
from localaws.provider.server import start_provider
from sandbox import stack
from sandbox.hosted_zones import prepare_hosted_zones
from sandbox.identities import Identities, create_identities
from seawall import setup
from seawall.errors import ServiceError, UsageError
from seawall.policy_file import load_policy
from tests.testing.aws_harness import PRIMARY, ROOT_KEY, STANDBY, client, running_aws
from tests.testing.inventory import everything
from tests.testing.sdk_names import inputs_of_type, unknown_fields

pytestmark = pytest.mark.integration

ROOT = Path(__file__).resolve().parents[2]
POLICY_PATH = ROOT / "policies" / "sandbox.yaml"
POLICY = load_policy(POLICY_PATH)
UP_S_MAX = 90
"""Twenty on an idle machine (design, section 10); a test may find it busy with three others."""


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running AWS and the settings of a stack in it."""

    endpoint: str
    identities: Identities
    settings: stack.Settings


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_aws() as endpoint, pytest.MonkeyPatch.context() as patch:
        prepare_hosted_zones(endpoint=endpoint, policy=POLICY)
        identities = create_identities(endpoint=endpoint, policy=POLICY)
        for name, value in identities.deployer.environment().items():
            patch.setenv(name, value)
        server, port = start_provider(aws_endpoint=endpoint)
        yield Site(
            endpoint=endpoint,
            identities=identities,
            settings=stack.Settings(
                root=ROOT,
                data_dir=tmp_path_factory.mktemp("stack"),
                policy_path=POLICY_PATH,
                aws_endpoint=endpoint,
                provider_port=port,
                deployer=identities.deployer,
                principals=identities.principals(),
                region=PRIMARY,
                path=setup.environment()["PATH"],
            ),
        )
        server.stop(grace=0).wait()


def pulumi(site: Site, *arguments: str, ok: bool = True) -> str:
    """What a shell with the sandbox's environment gets."""
    done = subprocess.run(
        ["pulumi", "--non-interactive", "--color", "never", *arguments],
        cwd=ROOT,
        env={**os.environ, **site.settings.environment()},
        text=True,
        capture_output=True,
        timeout=180,
        check=False,
    )
    assert (done.returncode == 0) is ok, done.stdout + done.stderr
    return done.stdout


def standing_in(site: Site) -> dict[str, list[str]]:
    """All that AWS holds of what the provider can make, in both regions, to compare before and
    after.
    """
    return everything(
        partial(client, endpoint=site.endpoint, who=ROOT_KEY), regions=(PRIMARY, STANDBY)
    )


def names_unknown_to_the_sdk(site: Site) -> list[str]:
    """Every name among the inputs of the stack's resources that the installed SDK does not have
    where it stands.
    """
    recorded = json.loads(pulumi(site, "stack", "export"))["deployment"]["resources"]
    ours = [each for each in recorded if each["type"] in RESOURCES]
    assert ours
    return [
        f"{each['type']} {name}"
        for each in ours
        for name in unknown_fields(
            each["inputs"], {**inputs_of_type(each["type"]), "tagsAll": {}, "__defaults": {}}
        )
    ]


def test_the_stack_lives_through_the_real_engine(site: Site) -> None:
    """Up, outputs that sign, up and preview without a change, refresh without drift, destroy to
    nothing.
    """
    empty = standing_in(site)
    stack_file = (ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_bytes()
    said: list[str] = []
    began = time.monotonic()
    stack.up(site.settings, report=said.append)
    print(f"up took {time.monotonic() - began:.1f} s: {said[-1]}")
    assert time.monotonic() - began < UP_S_MAX
    assert said[-1].startswith("stack is up, ")

    outputs = stack.outputs(site.settings)
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
    assert outputs["policy_digest"] == POLICY.digest
    assert set(outputs["signers"]) == set(POLICY.signing_wallets())
    assert len({signer["address"] for signer in outputs["signers"].values()}) == len(
        outputs["signers"]
    )
    for region in (PRIMARY, STANDBY):
        assert recovered(site, outputs["signers"]["customer-aster-hot"], region)
    assert {role["trusts"] for role in outputs["principals"].values()} <= {
        arn for _, arn in leaves(site.identities.principals())
    }

    standing = standing_in(site)
    assert standing[f"{PRIMARY} kms list_keys"] != empty[f"{PRIMARY} kms list_keys"]
    assert names_unknown_to_the_sdk(site) == []
    pulumi(site, "preview", "--expect-no-changes")
    began = time.monotonic()
    stack.up(site.settings, report=said.append)
    print(f"unchanged took {time.monotonic() - began:.1f} s")
    assert said[-1] == "stack is up, 0 resources made or changed"
    pulumi(site, "refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert standing_in(site) == standing

    began = time.monotonic()
    pulumi(site, "destroy", "--yes", "--skip-preview")
    print(f"destroy took {time.monotonic() - began:.1f} s")
    assert standing_in(site) == empty
    assert (ROOT / "infra" / "stacks" / "Pulumi.sandbox.yaml").read_bytes() == stack_file


def leaves(tree: Any) -> Iterator[tuple[str, str]]:
    """Names and texts at the ends of a tree."""
    for name, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield name, value


def recovered(site: Site, signer: dict[str, Any], region: str) -> bool:
    """Whether the signer of ``region``, through its role, signs for the address that the stack
    declares.
    """
    sts = client(
        "sts",
        site.endpoint,
        site.identities.signers[region][signer["bucket"]].environment(),
        region=region,
    )
    got = sts.assume_role(RoleArn=signer["roles"][region], RoleSessionName="test")["Credentials"]
    who = {"AWS_ACCESS_KEY_ID": got["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": got["SecretAccessKey"]}
    kms = client(
        "kms", site.endpoint, {**who, "AWS_SESSION_TOKEN": got["SessionToken"]}, region=region
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


def test_the_users_own_aws_and_proxy_are_not_used(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A developer's shell has a profile, perhaps a broken file, and a proxy that knows nothing of
    loopback.
    """
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
    site: Site,
) -> None:
    ours = site.identities.principals()
    others = replace(
        site.settings, principals={**ours, "admins": {**ours["admins"], "escrow": "arn:other"}}
    )
    with pytest.raises(
        UsageError,
        match=r"does not trust .*\(write under seawall:principals: admins.escrow: arn:other\)$",
    ):
        stack.up(others, report=print)
    with pytest.raises(UsageError, match=r"principals: no gamedays\)$"):
        stack.up(
            replace(
                site.settings, principals={name: ours[name] for name in ours if name != "gamedays"}
            ),
            report=print,
        )


def test_a_failing_program_is_told_in_pulumis_own_words(site: Site, tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(json.dumps({"policy": "wrong"}), encoding="utf-8")
    with pytest.raises(
        ServiceError, match=r"(?s)^pulumi up --yes ended with .*venue: found nothing; add it"
    ):
        stack.up(replace(site.settings, policy_path=wrong), report=print)
