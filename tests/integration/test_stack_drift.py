"""`seawall drift` on the stack of the program.

Every property that it sets is changed behind its back with AWS's API, and named.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from typing import Any

import pytest

from localaws.provider.registry import RESOURCES
from seawall.cli.app import main
from tests.testing.engine_harness import EngineHarness, running_engine
from tests.testing.stack_drift import messaging, s3
from tests.testing.stack_drift.change import Account, Change, Removal, Resource, all_of, names
from tests.testing.stack_harness import bare

# In `make test` one change of each kind is found by test_change_review.py.
pytestmark = [pytest.mark.integration, pytest.mark.nightly]

CHANGES: tuple[Change, ...] = all_of("CHANGES")
REMOVALS: tuple[Removal, ...] = all_of("REMOVALS")
AT_ONCE = 4
"""Changes of one resource between two looks: each is named by itself, with what AWS has now."""
NOT_HERE = {
    (
        messaging.QUEUE,
        "contentBasedDeduplication",
    ): "SQS takes it for a FIFO queue only, and the program makes none",
    (
        s3.VERSIONING,
        "versioningConfiguration.status",
    ): "S3 suspends no versions under object lock: only with the bucket, below",
}


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EngineHarness]:
    with running_engine(tmp_path_factory.mktemp("drift")) as found:
        found.pulumi("stack", "select", "sandbox", "--create")
        found.pulumi("up", "--yes", "--skip-preview", "--suppress-outputs")
        yield found


@pytest.fixture
def account(
    harness: EngineHarness, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Account:
    """The account of a stack that is as declared; the command finds it as in a shell."""
    for name, value in harness.variables.items():
        monkeypatch.setenv(name, value)
    assert drift(capsys) == {}
    return Account(endpoint=harness.endpoint, resources=recorded(harness))


def recorded(harness: EngineHarness) -> tuple[Resource, ...]:
    """Those of AWS that the engine wrote down, with what it was told and what AWS answered."""
    listed = json.loads(harness.pulumi("stack", "export", "--show-secrets"))["deployment"][
        "resources"
    ]
    return tuple(
        Resource(
            urn=each["urn"],
            kind=each["type"],
            name=each["urn"].rpartition("::")[2],
            id=each["id"],
            inputs=bare(each["inputs"]),
            outputs=bare(each["outputs"]),
        )
        for each in listed
        if each["type"] in RESOURCES
    )


def told(resource: Resource) -> set[str]:
    """Leaves that the program set and that AWS can answer for."""
    inputs = RESOURCES[resource.kind].inputs
    tops = {leaf: top(leaf) for leaf in resource.leaves}
    return {
        leaf
        for leaf, name in tops.items()
        if name in inputs and not (inputs[name].local and inputs[name].agrees is None)
    }


def top(leaf: str) -> str:
    """The property that a leaf belongs to."""
    return re.split(r"[.\[]", leaf)[0]


def put_right(harness: EngineHarness) -> None:
    """As the runbook says: look first, then bring the stack up."""
    harness.pulumi("up", "--yes", "--refresh", "--skip-preview", "--suppress-outputs")


def drift(capsys: pytest.CaptureFixture[str]) -> dict[str, dict[str, Any]]:
    """What the command names, by URN."""
    capsys.readouterr()
    code = main(["drift", "--json"])
    found = json.loads(capsys.readouterr().out)
    assert code == (1 if found["drifted"] else 0), found
    return {each["urn"]: each for each in found["drifted"]}


def content(client: Any, thing: Resource) -> str:
    """What is in an object of the kit."""
    return str(client.get_object(**s3.place_of(thing))["Body"].read().decode())


def rounds(resources: tuple[Resource, ...]) -> list[list[tuple[Change, Resource]]]:
    """Spread the changes over all resources with the property, so that few reads are needed."""
    turns: list[list[tuple[Change, Resource]]] = []
    busy: dict[str, int] = defaultdict(int)
    for change in CHANGES:
        fit = [
            each
            for each in resources
            if each.kind == change.kind and change.leaf in each.leaves and change.able(each)
        ]
        assert fit, f"the program sets no {change.leaf} of {change.kind}: take the change out"
        chosen = min(fit, key=lambda each: busy[each.urn])
        turn = busy[chosen.urn] // AT_ONCE
        busy[chosen.urn] += 1
        turns += [[] for _ in range(turn + 1 - len(turns))]
        turns[turn].append((change, chosen))
    return turns


def said(value: Any) -> str:
    """A value as the command writes it, as far as it does."""
    text = value if isinstance(value, str) else json.dumps(value, sort_keys=True)
    return "".join(each if each.isprintable() else "?" for each in text)[:160]


def judge(found: dict[str, dict[str, Any]], done: list[tuple[Change, Resource, Any]]) -> list[str]:
    """What was done and is not named, and what is named and was not done."""
    wrong, explained = [], set()
    for change, resource, value in done:
        differences = found.get(resource.urn, {}).get("differences", [])
        hits = [each for each in differences if names(each["path"], change.leaf)]
        # A list that has as many items as before is compared item by item.
        words = {said(value), *map(said, value if isinstance(value, list) else ())}
        if not any(value is None or each["after"].removesuffix("...") in words for each in hits):
            wrong.append(
                f"{change.kind} {resource.name}: {change.leaf} is {value!r} now,"
                f" named is {hits or differences}"
            )
        explained |= {(resource.urn, each["path"]) for each in hits}
        # Of a property that changed, what the program left to AWS is listed beside what changed.
        explained |= {
            (resource.urn, each["path"])
            for each in differences
            if each["before"] == "nothing" and names(each["path"], top(change.leaf))
        }
        explained |= {
            (urn, each["path"])
            for urn, item in found.items()
            for each in item["differences"]
            if any(
                item["kind"] == kind and names(each["path"], leaf) for kind, leaf in change.drags
            )
        }
    wrong += [
        f"{item['kind']} {item['name']}: {each} was not done"
        for urn, item in found.items()
        for each in item["differences"]
        if (urn, each["path"]) not in explained
    ]
    return wrong + [
        f"{item['kind']} {item['name']} is gone" for item in found.values() if item["gone"]
    ]


def test_every_property_that_the_program_sets_is_named_when_it_was_changed(
    account: Account, harness: EngineHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each is named with what AWS has now, and nothing else is named.

    Afterwards `up --refresh` puts all of it right, except what the runbook lists.
    """
    done: list[tuple[Change, Resource, Any]] = []
    turns = rounds(account.resources)
    for turn in turns:
        done += [(change, resource, change.how(account, resource)) for change, resource in turn]
        wrong = judge(drift(capsys), done)
        assert not wrong, "\n".join(wrong)
    print(f"{len(done)} properties were changed and named, in {len(turns)} looks")

    in_place = {
        (each.kind, leaf)
        for each in account.resources
        for leaf in told(each)
        if not RESOURCES[each.kind].inputs[top(leaf)].replaces
    }
    assert in_place - {(change.kind, change.leaf) for change in CHANGES} == set(NOT_HERE), (
        "what the program sets has a change"
    )

    for change, resource, _ in done:
        if change.back is not None:
            change.back(account, resource)
    put_right(harness)
    assert drift(capsys) == {}
    s3_client, by_leaf = (
        account.client("s3"),
        {(change.kind, change.leaf): resource for change, resource, _ in done},
    )
    careless, forged = (by_leaf[s3.OBJECT, leaf] for leaf in ("metadata.sha256", "content"))
    assert content(s3_client, careless) == careless.inputs["content"]
    assert content(s3_client, forged) != forged.inputs["content"], (
        "the runbook says that nobody else puts this one right"
    )


def test_a_bucket_that_was_made_anew_is_named_with_all_that_it_lost(
    account: Account, harness: EngineHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    """The old versions of its objects are lost; an `up` writes the objects again."""
    bucket = next(each for each in account.resources if each.kind == s3.BUCKET)
    s3.make_anew(account, bucket)

    found = drift(capsys)

    assert {each["path"]: each["after"] for each in found[bucket.urn]["differences"]}[
        "objectLockEnabled"
    ] == "false"
    [versions] = [each for each in found.values() if each["kind"] == s3.VERSIONING]
    assert [(each["path"], each["after"]) for each in versions["differences"]] == [
        ("versioningConfiguration.status", "Suspended")
    ]
    hit = {each.urn for each in account.resources if each.outputs.get("bucket") == bucket.id}
    assert set(found) <= hit, "no other bucket"

    put_right(harness)
    assert drift(capsys) == {}


def test_a_resource_whose_properties_cannot_change_is_named_when_it_is_gone(
    account: Account, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name, a key's kind, a revision.

    For as long as the resource exists, AWS has no call that changes them.
    """
    removed: dict[str, Removal] = {}
    for removal in REMOVALS:
        resource = next(each for each in reversed(account.resources) if each.kind == removal.kind)
        removal.how(account, resource)
        removed[resource.urn] = removal

    found = drift(capsys)

    gone = {urn for urn, each in found.items() if each["gone"]}
    assert set(removed) <= gone, "each is named"
    dragged = {kind for removal in REMOVALS for kind in removal.drags}
    others = {
        f"{each['kind']} {each['name']}"
        for urn, each in found.items()
        if urn not in removed and each["kind"] not in dragged
    }
    assert not others, "and nothing else"
    fixed = {
        each.kind
        for each in account.resources
        for leaf in told(each)
        if RESOURCES[each.kind].inputs[top(leaf)].replaces
    }
    assert {found[urn]["kind"] for urn in gone} >= fixed, (
        "every type that has a property of this kind"
    )
