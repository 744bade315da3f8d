"""Every resource type lives through the real engine.

One program with all examples is made, previewed, changed, imported and removed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from localaws.emulator.request_log import LoggedRequest, read_log
from localaws.provider.registry import RESOURCES
from tests.testing.aws_harness import PRIMARY, STANDBY
from tests.testing.inventory import everything
from tests.testing.provider_engine import Engine
from tests.testing.stack_harness import StackHarness, running_stack
from tests.testing.stack_types.example import all_examples, resolved
from tests.testing.stack_types.program import name_of, program_of

# In `make test` the program's own stack goes through the engine (test_stack.py), and each type
# through the provider's protocol (test_stack_types.py).
pytestmark = [pytest.mark.integration, pytest.mark.nightly]

EXAMPLES = all_examples()
FIRST, CHANGED = program_of(EXAMPLES), program_of(EXAMPLES, changed=True)
CHANGING = {name_of(kind): kind for kind, example in EXAMPLES.items() if example.changed}


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("log") / "requests"


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory, log: Path) -> Iterator[StackHarness]:
    with running_stack(tmp_path_factory.mktemp("stack"), log=log) as running:
        yield running


def steps(answer: str) -> dict[str, dict[str, Any]]:
    """What `pulumi preview --json` or `refresh --preview-only --json` proposes, by resource.

    What stays is left out.
    """
    found = {step["urn"].rpartition("::")[2]: step for step in json.loads(answer)["steps"]}
    return {name: step for name, step in found.items() if step["op"] not in ("same", "refresh")}


def writes(log: Path, since: int) -> list[LoggedRequest]:
    """What the deployer changed since a number of requests."""
    return [asked for asked in read_log(log)[since:] if not asked.reads]


def standing(harness: StackHarness) -> dict[str, list[str]]:
    return everything(harness.root, regions=(PRIMARY, STANDBY))


def test_all_types_live_through_the_real_engine(harness: StackHarness, log: Path) -> None:
    """Up, no drift, no change; a previewed change writes nothing; changed in place.

    Unchanged again; removed to nothing.
    """
    empty = standing(harness)
    harness.declare(FIRST)
    harness.up()
    assert set(FIRST) <= set(harness.state())
    harness.refresh("--expect-no-changes")
    before = len(read_log(log))
    harness.pulumi("preview", "--expect-no-changes")

    harness.declare(CHANGED)
    proposed = steps(harness.pulumi("preview", "--json"))
    assert {name: step["op"] for name, step in proposed.items()} == dict.fromkeys(
        CHANGING, "update"
    )
    for name, kind in CHANGING.items():
        assert set(proposed[name]["diffReasons"]) == set(EXAMPLES[kind].changed), name
    assert writes(log, before) == [], "a preview only looks"
    looked = {asked.caller for asked in read_log(log)[before:]}
    assert harness.identities.deployer.arn in looked, "the log works"

    harness.up()
    harness.refresh("--expect-no-changes")
    before = len(read_log(log))
    harness.pulumi("up", "--yes", "--skip-preview", "--expect-no-changes")
    assert writes(log, before) == []

    harness.destroy()
    assert standing(harness) == empty


def test_existing_resources_can_be_imported_into_another_stack(
    harness: StackHarness, tmp_path: Path
) -> None:
    """Another stack imports everything by id and then proposes nothing but what AWS does not keep.

    The first sees all gone afterwards.
    """
    harness.declare(FIRST)
    harness.up()
    harness.refresh()  # a policy counts its attachments, which came after it
    made, other = harness.shown(), harness.another("other")
    other.declare({})
    other.up()
    wanted = [
        {"type": declared["kind"], "name": name, "id": import_id(made[name]), "provider": "aws"}
        for name, declared in FIRST.items()
    ]
    table = {"aws": other.state()["aws"]["urn"]}
    (tmp_path / "import.json").write_text(
        json.dumps({"nameTable": table, "resources": wanted}), encoding="utf-8"
    )
    code = tmp_path / "imported.py"
    written = ("--file", str(tmp_path / "import.json"), "--out", str(code))
    other.pulumi("import", *written, "--yes", "--protect=false")
    classes = [
        f"aws.{declared['kind'].partition(':')[2].partition('/')[0]}.{name_of(declared['kind'])}("
        for declared in FIRST.values()
    ]
    text = code.read_text(encoding="utf-8")
    assert [text.count(each) for each in classes] == [classes.count(each) for each in classes]
    compile(text, code, "exec")
    taken = other.shown()
    for name, declared in FIRST.items():
        kept = {
            key: value
            for key, value in made[name]["outputs"].items()
            if key not in local_inputs(declared["kind"])
        }
        assert taken[name]["id"] == made[name]["id"]
        assert taken[name]["outputs"] == kept, name

    other.declare(FIRST)
    proposed = steps(other.pulumi("preview", "--json"))
    expected = {
        name: local_inputs(declared["kind"]) & set(declared["inputs"])
        for name, declared in FIRST.items()
    }
    assert {name: set(step["diffReasons"]) for name, step in proposed.items()} == {
        name: reasons for name, reasons in expected.items() if reasons
    }
    other.up()
    other.pulumi("preview", "--expect-no-changes")
    other.destroy()
    harness.refresh()
    assert not set(harness.state()) & set(FIRST), "what is gone is gone from the state as well"


def test_the_code_that_an_import_writes_is_the_program(
    harness: StackHarness, tmp_path: Path
) -> None:
    """As from a shell, with the provider that the stack's configuration describes.

    Run as it was written, it changes nothing.
    """
    kms, s3 = harness.root("kms"), harness.root("s3")
    key = kms.create_key(
        KeySpec="ECC_SECG_P256K1", KeyUsage="SIGN_VERIFY", MultiRegion=True, Description="hot"
    )
    kms.tag_resource(
        KeyId=key["KeyMetadata"]["KeyId"], Tags=[{"TagKey": "owner", "TagValue": "ours"}]
    )
    s3.create_bucket(Bucket="seawall-found", ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 3}}
    s3.put_object_lock_configuration(
        Bucket="seawall-found",
        ObjectLockConfiguration={"ObjectLockEnabled": "Enabled", "Rule": rule},
    )
    single = harness.another("single")
    single.pulumi("config", "set", "aws:region", PRIMARY)
    found = {
        "hot": ("aws:kms/key:Key", key["KeyMetadata"]["KeyId"]),
        "lock": (
            "aws:s3/bucketObjectLockConfiguration:BucketObjectLockConfiguration",
            "seawall-found",
        ),
    }
    code = tmp_path / "imported.py"
    program = harness.program / "__main__.py"
    before, texts = program.read_text(encoding="utf-8"), []
    for name, (kind, identifier) in found.items():
        single.pulumi(
            "import", kind, name, identifier, "--yes", "--protect=false", "--out", str(code)
        )
        texts.append(code.read_text(encoding="utf-8"))
    program.write_text("\n".join(texts), encoding="utf-8")
    try:
        single.pulumi("preview", "--expect-no-changes")
    finally:
        program.write_text(before, encoding="utf-8")
    single.destroy()


def local_inputs(kind: str) -> set[str]:
    """Inputs that AWS does not keep."""
    return {name for name, prop in RESOURCES[kind].inputs.items() if prop.local}


def import_id(recorded: dict[str, Any]) -> str:
    """The id with which a resource is imported, with its region if that is not the provider's."""
    region = recorded["outputs"].get("region", PRIMARY)
    return str(recorded["id"]) if region == PRIMARY else f"{recorded['id']}@{region}"


def test_a_change_behind_pulumis_back_is_named_by_a_refresh(harness: StackHarness) -> None:
    """Of every type, property by property.

    A refresh proposes exactly that property of exactly that resource.
    """
    harness.declare(FIRST)
    harness.up()
    engine = Engine(harness.provider_port, region=PRIMARY)
    recorded = harness.shown()
    drifts = {name: EXAMPLES[kind].drifts() for name, kind in CHANGING.items()}
    rounds = max(map(len, drifts.values()))
    for turn in range(rounds):
        drifted = {name: each[turn] for name, each in drifts.items() if turn < len(each)}
        for name, properties in drifted.items():
            change(
                engine, recorded, name, {each: CHANGED[name]["inputs"][each] for each in properties}
            )
        said = harness.pulumi(
            "refresh", "--preview-only", "--json", "--expect-no-changes", ok=False
        )
        proposed = steps(said[: said.rindex("}") + 1])  # the error follows
        assert {name: sorted(step["diffReasons"]) for name, step in proposed.items()} == drifted
        for name in drifted:
            change(engine, recorded, name, {})
    named = sum(map(len, drifts.values()))
    print(
        f"{named} changes of properties of {len(CHANGING)} types were named, in {rounds} refreshes"
    )
    harness.refresh("--expect-no-changes")
    engine.channel.close()
    harness.destroy()


def change(engine: Engine, recorded: dict[str, Any], name: str, properties: dict[str, Any]) -> None:
    """Make AWS's resource what the first program says except for ``properties``, past Pulumi."""
    kind = CHANGING[name]
    first, state = recorded[name]["inputs"], recorded[name]["outputs"]
    made = {
        each: {**item["outputs"], "id": item.get("id")}
        for each, item in recorded.items()
        if "outputs" in item
    }
    wanted = engine.checked(kind, {**first, **resolved(properties, made)})
    before = (
        first
        if properties
        else engine.checked(kind, {**first, **resolved(CHANGED[name]["inputs"], made)})
    )
    engine.update(kind, recorded[name]["id"], state, before, wanted)
