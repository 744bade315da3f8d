"""The real engine: a program that the policy forbids makes nothing, and a guarded stack is not
taken down.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from localaws.provider.server import start_provider
from sandbox import stack
from sandbox.hosted_zones import prepare_landing
from sandbox.identities import Identities, create_identities
from seawall import setup
from seawall.errors import ServiceError
from tests.testing.aws_harness import PRIMARY, STANDBY, client, running_aws
from tests.testing.engine_harness import POLICY, POLICY_PATH, ROOT, copied

pytestmark = pytest.mark.integration

STACK_FILE = "infra/stacks/Pulumi.sandbox.yaml"


@dataclass(frozen=True, kw_only=True)
class Site:
    """A running AWS, and the settings of a stack in it whose program is a copy that a test may
    spoil.
    """

    endpoint: str
    identities: Identities
    settings: stack.Settings

    def keys(self) -> dict[str, set[str]]:
        """Enabled keys by region."""
        found = {}
        for region in (PRIMARY, STANDBY):
            kms = client(
                "kms", self.endpoint, self.identities.deployer.environment(), region=region
            )
            metadata = [
                kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"]
                for key in kms.list_keys()["Keys"]
            ]
            found[region] = {key["Arn"] for key in metadata if key["KeyState"] == "Enabled"}
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running_aws() as endpoint, pytest.MonkeyPatch.context() as patch:
        prepare_landing(endpoint=endpoint, policy=POLICY)
        identities = create_identities(endpoint=endpoint, policy=POLICY)
        for name, value in identities.deployer.environment().items():
            patch.setenv(name, value)
        server, port = start_provider(aws_endpoint=endpoint)
        yield Site(
            endpoint=endpoint,
            identities=identities,
            settings=stack.Settings(
                root=ROOT,
                data_dir=tmp_path_factory.mktemp("refused"),
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


def spoilt(site: Site, folder: Path, file: str, old: str, new: str) -> stack.Settings:
    """Settings of a program that differs in one place."""
    root = copied(folder)
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} no longer says {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return replace(site.settings, root=root)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            ("infra/keys.py", "multi_region=True", "multi_region=False"),
            "aws:kms/key:Key customer-aster-hot: single-Region",
        ),
        pytest.param(
            ("infra/roles.py", "            permissions_boundary=self.boundary.policy.arn,\n", ""),
            "no permission boundary",
            marks=pytest.mark.nightly,
        ),
        (
            (
                "infra/signers.py",
                "for wallet in policy.signing_wallets()}",
                "for wallet in list(policy.signing_wallets())[1:]}",
            ),
            "aws:kms/replicaKey:ReplicaKey customer-aster-hot is missing",
        ),
    ],
)
def test_a_program_that_is_tampered_with_makes_nothing(
    site: Site, tmp_path: Path, change: tuple[str, str, str], said: str
) -> None:
    """Also without a preview: `stack.up` skips it."""
    with pytest.raises(ServiceError, match="this stack may not be made") as caught:
        stack.up(spoilt(site, tmp_path / "root", *change), report=print)
    assert said in str(caught.value)
    assert "Traceback" not in str(caught.value), "what is refused is no fault of the program's"
    assert site.keys() == {PRIMARY: set(), STANDBY: set()}
    assert {each["type"] for each in recorded(site)} <= {
        "pulumi:pulumi:Stack",
        "pulumi:providers:aws",
    }


@pytest.mark.parametrize(
    ("instead", "said"),
    [
        pytest.param(
            "        gate.resources[100000]\n",
            "IndexError: list index out of range",
            marks=pytest.mark.nightly,
        ),
        ("", "the program ended before it was judged"),
    ],
)
def test_a_program_that_ends_before_it_is_judged_makes_nothing_and_says_why(
    site: Site, tmp_path: Path, instead: str, said: str
) -> None:
    """By then everything is declared and held.

    The engine must not wait for what nobody will let go.
    """
    settings = spoilt(site, tmp_path / "root", "infra/program.py", "        gate.open()\n", instead)
    with pytest.raises(ServiceError) as caught:
        stack.up(settings, report=print)
    assert said in str(caught.value)
    assert "NoneType" not in str(caught.value), "where nothing was raised, nothing is quoted"
    assert site.keys() == {PRIMARY: set(), STANDBY: set()}


def recorded(site: Site) -> list[dict[str, Any]]:
    """What the engine's state holds."""
    state = json.loads(stack._pulumi(site.settings, ["stack", "export"]))
    found: list[dict[str, Any]] = state["deployment"].get("resources", [])
    return found


def urns(site: Site) -> set[str]:
    """Names of everything in the state."""
    return {each["urn"] for each in recorded(site)}


@pytest.fixture(scope="module")
def guarded(site: Site, tmp_path_factory: pytest.TempPathFactory) -> stack.Settings:
    """A stack that is up and guarded."""
    settings = spoilt(
        site,
        tmp_path_factory.mktemp("guarded") / "root",
        STACK_FILE,
        "deletion: disposable",
        "deletion: guarded",
    )
    stack.up(settings, report=print)
    return settings


def test_a_guarded_stack_is_not_destroyed(site: Site, guarded: stack.Settings) -> None:
    """Neither by the engine, nor past it by whoever provisioned it."""
    keys, before = site.keys(), urns(site)
    assert len(keys[PRIMARY]) >= len(POLICY.signing_wallets()) + len(POLICY.approver_roles())
    with pytest.raises(ServiceError, match="protect"):
        stack._pulumi(guarded, ["destroy", "--yes", "--skip-preview"])
    assert urns(site) == before, (
        "it meets the seal first, so that not even what is unprotected goes"
    )
    assert site.keys() == keys

    outputs = stack.outputs(guarded)
    for signer in outputs["signers"].values():
        for region in (PRIMARY, STANDBY):
            kms = client(
                "kms", site.endpoint, site.identities.deployer.environment(), region=region
            )
            for refused in (kms.schedule_key_deletion, kms.disable_key):
                with pytest.raises(ClientError, match="AccessDenied"):
                    refused(KeyId=signer["key_id"])
    assert site.keys() == keys


def test_what_is_known_only_once_its_key_is_made_is_judged_then(
    site: Site, guarded: stack.Settings, tmp_path: Path
) -> None:
    """A wildcard beside the ARN of a key that only AWS can tell.

    The registration itself is refused.
    """
    root = copied(tmp_path / "root")
    shutil.copytree(guarded.root / "infra", root / "infra", dirs_exist_ok=True)
    program = root / "infra" / "signers.py"
    text = program.read_text(encoding="utf-8")
    old = '        return {"key_id": made.key_id,'
    assert text.count(old) == 1
    stray = (
        "        for region, arn in made.arns.items():\n"
        '            written_late = arn.apply(lambda known: document(allow("Late", ["kms:*"], known)))\n'
        '            iam.RolePolicy(f"stray-{key.name}-{region}", role=roles[0].name, policy=written_late, opts=self._child)\n'
    )
    program.write_text(text.replace(old, stray + old), encoding="utf-8")
    with pytest.raises(ServiceError, match=r"statement Late: Action 'kms:\*'"):
        stack.up(replace(guarded, root=root), report=print)
    assert not [each for each in recorded(site) if "stray-" in each["urn"]]
