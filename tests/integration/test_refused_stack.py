"""The real engine makes nothing of a forbidden program, and does not destroy a protected stack."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox import stack
from seawall.errors import ServiceError
from tests.testing.aws_harness import PRIMARY, STANDBY, client
from tests.testing.engine_harness import POLICY, EngineHarness, copied, running_engine

pytestmark = pytest.mark.integration

STACK_FILE = "infra/stacks/Pulumi.sandbox.yaml"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHarness]:
    with running_engine(tmp_path_factory.mktemp("refused")) as found:
        yield found


def enabled_keys(harness: EngineHarness) -> dict[str, set[str]]:
    """Enabled keys by region."""
    found = {}
    deployer = harness.identities.deployer.environment()
    for region in (PRIMARY, STANDBY):
        kms = client("kms", harness.endpoint, deployer, region=region)
        metadata = [
            kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"]
        ]
        found[region] = {key["Arn"] for key in metadata if key["KeyState"] == "Enabled"}
    return found


def spoilt(harness: EngineHarness, folder: Path, file: str, old: str, new: str) -> stack.Settings:
    """Settings of a program that differs in one place."""
    root = copied(folder)
    path = root / file
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, f"{file} no longer says {old!r}"
    path.write_text(text.replace(old, new), encoding="utf-8")
    return replace(harness.settings, root=root)


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
        pytest.param(
            (
                "infra/signers.py",
                "for wallet in policy.signing_wallets()\n",
                "for wallet in list(policy.signing_wallets())[1:]\n",
            ),
            "aws:kms/replicaKey:ReplicaKey customer-aster-hot is missing",
            marks=pytest.mark.nightly,
        ),
    ],
)
def test_a_program_that_is_tampered_with_makes_nothing(
    harness: EngineHarness, tmp_path: Path, change: tuple[str, str, str], said: str
) -> None:
    """A preview is not needed for that: `stack.up` skips it."""
    with pytest.raises(ServiceError, match="this stack may not be made") as caught:
        stack.up(spoilt(harness, tmp_path / "root", *change), report=print)
    assert said in str(caught.value)
    assert "Traceback" not in str(caught.value), "what is refused is no fault of the program's"
    assert enabled_keys(harness) == {PRIMARY: set(), STANDBY: set()}
    assert {each["type"] for each in recorded(harness)} <= {
        "pulumi:pulumi:Stack",
        "pulumi:providers:aws",
    }


@pytest.mark.nightly  # as above
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
    harness: EngineHarness, tmp_path: Path, instead: str, said: str
) -> None:
    """By then every registration is declared and held back.

    The engine must not wait for a gate that will never open.
    """
    settings = spoilt(
        harness, tmp_path / "root", "infra/program.py", "        gate.open()\n", instead
    )
    with pytest.raises(ServiceError) as caught:
        stack.up(settings, report=print)
    assert said in str(caught.value)
    assert "NoneType" not in str(caught.value), "where nothing was raised, nothing is quoted"
    assert enabled_keys(harness) == {PRIMARY: set(), STANDBY: set()}


def recorded(harness: EngineHarness) -> list[dict[str, Any]]:
    """What the engine's state holds."""
    state = json.loads(stack._pulumi(harness.settings, ["stack", "export"]))
    found: list[dict[str, Any]] = state["deployment"].get("resources", [])
    return found


def urns(harness: EngineHarness) -> set[str]:
    """Names of everything in the state."""
    return {each["urn"] for each in recorded(harness)}


@pytest.fixture(scope="module")
def protected(harness: EngineHarness, tmp_path_factory: pytest.TempPathFactory) -> stack.Settings:
    """A stack that is up and protected."""
    settings = spoilt(
        harness,
        tmp_path_factory.mktemp("protected") / "root",
        STACK_FILE,
        "deletion: disposable",
        "deletion: protected",
    )
    stack.up(settings, report=print)
    return settings


@pytest.mark.nightly  # that a program that was tampered with makes nothing stays
def test_a_protected_stack_is_not_destroyed(
    harness: EngineHarness, protected: stack.Settings
) -> None:
    """The engine refuses to destroy it, and AWS refuses the deployer that goes past the engine."""
    keys, before = enabled_keys(harness), urns(harness)
    assert len(keys[PRIMARY]) >= len(POLICY.signing_wallets()) + len(POLICY.approver_roles())
    with pytest.raises(ServiceError, match="protect"):
        stack._pulumi(protected, ["destroy", "--yes", "--skip-preview"])
    assert urns(harness) == before, (
        "it meets the destroy guard first, so that nothing unprotected goes either"
    )
    assert enabled_keys(harness) == keys

    outputs = stack.outputs(protected)
    for signer in outputs["signers"].values():
        for region in (PRIMARY, STANDBY):
            kms = client(
                "kms", harness.endpoint, harness.identities.deployer.environment(), region=region
            )
            for refused in (kms.schedule_key_deletion, kms.disable_key):
                with pytest.raises(ClientError, match="AccessDenied"):
                    refused(KeyId=signer["key_id"])
    assert enabled_keys(harness) == keys


@pytest.mark.nightly  # a changed program is refused in `make test`
def test_what_is_known_only_once_its_key_is_made_is_judged_then(
    harness: EngineHarness, protected: stack.Settings, tmp_path: Path
) -> None:
    """A wildcard beside the ARN of a key, which is known only once the key is made.

    The registration itself is refused.
    """
    root = copied(tmp_path / "root")
    shutil.copytree(protected.root / "infra", root / "infra", dirs_exist_ok=True)
    program = root / "infra" / "signers.py"
    text = program.read_text(encoding="utf-8")
    old = '        return {"key_id": made.key_id,'
    assert text.count(old) == 1
    stray = (
        "        for region, arn in made.arns.items():\n"
        "            written_late = arn.apply("
        'lambda known: document(allow("Late", ["kms:*"], known)))\n'
        '            iam.RolePolicy(f"stray-{key.name}-{region}", role=roles[0].name, '
        "policy=written_late, opts=self._child)\n"
    )
    program.write_text(text.replace(old, stray + old), encoding="utf-8")
    with pytest.raises(ServiceError, match=r"statement Late: Action 'kms:\*'"):
        stack.up(replace(protected, root=root), report=print)
    assert not [each for each in recorded(harness) if "stray-" in each["urn"]]
