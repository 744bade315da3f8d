"""Segregation tried live.

The account does what the policy says, a stray statement is one named cell, and every key answers.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest

from sandbox.identities import Identities
from sandbox.kept import kept_data_dir
from seawall.policy_file import load_policy
from tests.testing.drill_kit import ROOT, seawall

pytestmark = pytest.mark.drill

POLICY = load_policy(ROOT / "policies" / "sandbox.yaml")
STRANGER, KEY, REGION = "treasury-aster-hot", "customer-aster-hot", "us-west-2"


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    done = seawall("up", timeout_s=240)
    assert done.returncode == 0, done.stderr
    found = kept_data_dir()
    assert found is not None
    yield found
    assert seawall("down").returncode == 0


def _drilled(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = seawall("drill", "segregation", "--json", *arguments, timeout_s=400)
    document: dict[str, Any] = json.loads(done.stdout)
    print(json.dumps(document, indent=1)[:4000])
    return done.returncode, document


def _not_passed(document: dict[str, Any]) -> dict[str, str]:
    return {
        check: found["outcome"]
        for check, found in document["checks"].items()
        if found["outcome"] != "PASS"
    }


def test_the_matrix_is_the_policys_and_every_key_answers(data_dir: Path) -> None:
    code, document = _drilled()
    assert (code, _not_passed(document)) == (0, {})
    assert document["conditions"]["not_proven"] == ["customer-aster-cold", "customer-birch-cold"]


def test_a_stray_statement_is_named_as_exactly_that_cell(data_dir: Path) -> None:
    """Added with boto3 behind Pulumi's back.

    The treasury's signer may sign with a customers' key in one region.
    """
    outputs = json.loads((data_dir / "outputs.json").read_text(encoding="utf-8"))
    endpoint = json.loads((data_dir / "deployment.json").read_text(encoding="utf-8"))["urls"]["aws"]
    who = Identities.read(data_dir / "identities.json").deployer
    kms: Any = boto3.Session(
        aws_access_key_id=who.access_key_id,
        aws_secret_access_key=who.secret_access_key,
        region_name=REGION,
    ).client("kms", endpoint_url=endpoint)
    key_id = outputs["signers"][KEY]["key_id"]
    before = kms.get_key_policy(KeyId=key_id, PolicyName="default")["Policy"]
    stray = json.loads(before)
    stranger = outputs["signers"][STRANGER]["roles"][REGION]
    stray["Statement"].append(
        {
            "Sid": "Stray",
            "Effect": "Allow",
            "Principal": {"AWS": stranger},
            "Action": "kms:Sign",
            "Resource": "*",
        }
    )
    kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=json.dumps(stray))
    try:
        code, document = _drilled()
    finally:
        kms.put_key_policy(KeyId=key_id, PolicyName="default", Policy=before)
    assert code == 1
    assert _not_passed(document) == dict.fromkeys(
        ("segregation.matrix", "segregation.one_signer", "segregation.buckets_apart"), "FAIL"
    )
    [cell] = document["checks"]["segregation.matrix"]["details"]
    role = stranger.rpartition("/")[2]
    assert cell.startswith(f"{role} may kms:Sign with {KEY} in {REGION}; the policy denies it")


def test_a_real_stack_is_drilled_by_profiles_without_harm(data_dir: Path, tmp_path: Path) -> None:
    """The way to a real account, tried on the sandbox.

    A profile per role, dry runs, and canaries for what could stop a key.
    """
    endpoint = json.loads((data_dir / "deployment.json").read_text(encoding="utf-8"))["urls"]["aws"]
    outputs = json.loads((data_dir / "outputs.json").read_text(encoding="utf-8"))
    config, credentials = tmp_path / "config", tmp_path / "credentials"
    users = {
        identity["arn"]: identity
        for identity in _identities(
            json.loads((data_dir / "identities.json").read_text(encoding="utf-8"))
        )
    }
    credentials.write_text(
        "".join(
            f"[{each['user']}]\naws_access_key_id = {each['access_key_id']}\naws_secret_access_key = {each['secret_access_key']}\n"
            for each in users.values()
        ),
        encoding="utf-8",
    )
    config.write_text(
        "".join(
            f"[profile {name}]\nrole_arn = {who['arn']}\nsource_profile = {users[who['trusts']]['user']}\nregion = {REGION}\n"
            for name, who in outputs["principals"].items()
        ),
        encoding="utf-8",
    )
    done = seawall(
        *(
            "drill",
            "segregation",
            "--json",
            "--stack",
            "sandbox",
            "--outputs",
            str(data_dir / "outputs.json"),
        ),
        *("--venue", str(data_dir / "venue.json")),
        timeout_s=400,
        env={
            "AWS_CONFIG_FILE": str(config),
            "AWS_SHARED_CREDENTIALS_FILE": str(credentials),
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_EC2_METADATA_DISABLED": "true",
            "NO_PROXY": "127.0.0.1",
        },
    )
    document = json.loads(done.stdout)
    print(json.dumps(document, indent=1)[:4000])
    assert document["conditions"]["dry_run"] is True
    # Without a database to read the signers' log in, that the proofs are logged is not known, and
    # so said.
    assert _not_passed(document) == {"control.logged": "UNKNOWN"}
    assert done.returncode == 2


def _identities(tree: Any) -> Iterator[dict[str, str]]:
    """Every user in identities.json, however deep."""
    if "access_key_id" in tree:
        yield tree
        return
    for value in tree.values():
        yield from _identities(value)


def test_a_stack_of_another_policy_is_refused(data_dir: Path, tmp_path: Path) -> None:
    """On a real stack nothing is tried before the outputs are those of the policy."""
    outputs = tmp_path / "outputs.json"
    outputs.write_text(json.dumps({"policy_digest": "another"}), encoding="utf-8")
    done = seawall("drill", "segregation", "--stack", "staging", "--outputs", str(outputs))
    assert done.returncode == 3
    assert "brought up from another policy" in done.stderr
