"""The list of what a stack must declare: committed fresh, and refused if it is damaged."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from infra.expected_resources import ExpectedResource, parse, written
from infra.generated_files import read_expected
from seawall.conventions import generated
from seawall.errors import UsageError
from seawall.policy_file import load_policy
from tests.testing.declared import POLICY, ROOT, declared
from tests.testing.remembered import remembered

POLICIES = sorted((ROOT / "policies").glob("*.yaml"))
KEY = ExpectedResource(kind="a:kms/key:Key", name="hot", region="r1", protected=True)
ROLE = ExpectedResource(kind="a:iam/role:Role", name="signer")
TEXT = written([KEY, ROLE])


def check(policy: Path) -> subprocess.CompletedProcess[str]:
    """Run the program that says whether the committed list of ``policy`` is stale."""
    return subprocess.run(
        [sys.executable, "-m", "infra.render", "--policy", policy, "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("path", POLICIES, ids=lambda path: path.stem)
def test_the_committed_list_is_fresh(path: Path) -> None:
    """So a resource that is added, dropped, renamed or moved is a line in the review."""

    def checked() -> str:
        done = check(path)
        return json.dumps([done.returncode, done.stderr])

    code, said = json.loads(remembered(f"list of {path.stem}", checked))
    assert code == 0, said


def test_a_stale_list_is_named_with_what_to_run(tmp_path: Path) -> None:
    """Rendering elsewhere leaves the committed one alone."""
    policy = tmp_path / "renamed.yaml"
    text = (ROOT / "policies" / "production.yaml").read_text(encoding="utf-8")
    policy.write_text(text.replace("policy: production", "policy: renamed", 1), encoding="utf-8")
    done = check(policy)
    assert done.returncode == 1
    assert done.stderr == (
        f"generated/renamed/{generated.EXPECTED_RESOURCES_FILE} is stale;"
        f" run `python -m infra.render --policy {policy}`\n"
    )
    assert not (ROOT / "generated" / "renamed").exists()


@pytest.mark.parametrize("stack", ["sandbox", "staging", "production"])
def test_the_list_has_exactly_what_each_stack_declares(stack: str) -> None:
    """Settings decide who may take roles on and what may be thrown away, never what exists."""
    name = "sandbox" if stack == "sandbox" else "production"
    policy = load_policy(ROOT / "policies" / f"{name}.yaml")
    listed = read_expected(policy, folder=ROOT / "generated" / name)
    assert {(each.kind, each.name) for each in listed} == {
        (each.type, each.name) for each in declared(stack) if not each.type.startswith("pulumi:")
    }


def test_the_list_is_sorted_with_one_line_each() -> None:
    assert TEXT.splitlines()[1:] == [
        "a:iam/role:Role signer",
        "a:kms/key:Key hot region=r1 protected",
    ]
    assert parse(TEXT) == (ROLE, KEY)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "does not say how many"),
        ("# 0 resources: x\n", "lists 0 resources, and its head says 0"),
        (TEXT.replace("a:iam/role:Role signer\n", ""), "lists 1 resources, and its head says 2"),
        (TEXT.replace("# 2 ", "# two "), "does not say how many"),
        (TEXT.replace("protected", "protect"), "is no resource"),
        (TEXT.replace("region=r1", "region=r1 region=r2"), "is no resource"),
        (TEXT.replace(" hot", ""), "is no resource"),
        (
            TEXT.replace("a:kms/key:Key hot region=r1 protected", str(ROLE)),
            "lists a resource twice",
        ),
    ],
)
def test_a_damaged_list_is_refused_instead_of_demanding_less(
    text: str, said: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)
    file = tmp_path / generated.EXPECTED_RESOURCES_FILE
    file.write_text(
        f"{generated.rendered_from(POLICY.infrastructure_digest)}\n{text}", encoding="utf-8"
    )
    with pytest.raises(UsageError, match=rf"is damaged: .*{said}"):
        read_expected(POLICY, folder=tmp_path)


def test_a_list_of_another_policy_is_refused(tmp_path: Path) -> None:
    (tmp_path / generated.EXPECTED_RESOURCES_FILE).write_text(TEXT, encoding="utf-8")
    with pytest.raises(UsageError, match="was rendered from another policy than sandbox"):
        read_expected(POLICY, folder=tmp_path)


@pytest.mark.parametrize(
    "resources", [[KEY, KEY], [ExpectedResource(kind="a:b/c:D", name="two words")]]
)
def test_what_could_not_be_read_back_is_not_written(resources: list[ExpectedResource]) -> None:
    with pytest.raises(ValueError, match=r"blank|twice|no resource"):
        written(resources)
