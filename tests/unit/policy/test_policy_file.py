"""A policy file is accepted, or refused with the path, the value found and the remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from seawall.errors import PolicyError, UsageError
from seawall.policy import Policy
from seawall.policy_file import load_policy
from tests.testing import policies
from tests.testing.breaking import problems
from tests.testing.policies import LITERAL, tree, write

UNIT = "write a duration as a whole number with its unit"
DECIMAL = "write a plain decimal in quotes"
RATIO = "write an exact ratio in quotes"


def as_file(folder: Path, data: bytes | str) -> Path:
    path = folder / "policy.yaml"
    path.write_bytes(data.encode() if isinstance(data, str) else data)
    return path


@pytest.mark.parametrize(
    ("line", "written", "path", "problem"),
    [
        ("  dwell_min: 30s", "  dwell_min: 30", "tiers.protected.dwell_min", f"30 | {UNIT}"),
        ("  dwell_min: 30s", "  dwell_min: 1:30", "tiers.protected.dwell_min", "with its unit"),
        ("  dwell_min: 30s", "  dwell_min: 45_000", "tiers.protected.dwell_min", "with its unit"),
        ("  dwell_min: 30s", "  dwell_min: '30'", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min: 1.5s", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min: 30.0", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min: -30s", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min: 30 s", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", '  dwell_min: "30s\\n"', "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min: \u0663\u0660s", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min: true", "tiers.protected.dwell_min", UNIT),
        ("  dwell_min: 30s", "  dwell_min:", "tiers.protected.dwell_min", f"None | {UNIT}"),
        ("  dwell_min: 30s", "  dwell_min: 999999d", "tiers.protected.dwell_min", "100000d"),
        ("liabilities: '84000000'", "liabilities: 84000000", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: 84000000.5", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: '84e6'", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: 84e6", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: '84e99999'", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: '84_000_000'", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: '84,000,000'", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: '+84'", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: ' 84'", "venue.liabilities", DECIMAL),
        ("liabilities: '84000000'", "liabilities: 'NaN'", "venue.liabilities", DECIMAL),
        ("top_up_below: '0.60'", "top_up_below: 0.60", "treasury.top_up_below", RATIO),
        ("top_up_below: '0.60'", "top_up_below: '1/0'", "treasury.top_up_below", RATIO),
        ("top_up_below: '0.60'", "top_up_below: '6e-1'", "treasury.top_up_below", RATIO),
        ("top_up_below: '0.60'", "top_up_below: '60%'", "treasury.top_up_below", RATIO),
        ("asynchronous: true", "asynchronous: yes", "rails.fiat.asynchronous", "write true or"),
        ("asynchronous: true", "asynchronous: 1", "rails.fiat.asynchronous", "valid boolean"),
        ("asynchronous: true", "asynchronous: 'on'", "rails.fiat.asynchronous", "valid boolean"),
        ("chain_id: 73311", "chain_id: '73311'", "networks.aster.chain_id", "valid integer"),
        ("chain_id: 73311", "chain_id: 73311.0", "networks.aster.chain_id", "valid integer"),
        ("chain_id: 73311", "chain_id: true", "networks.aster.chain_id", "valid integer"),
        ("chain_id: 73311", "chain_id: 073311", "networks.aster.chain_id", "plain decimal digits"),
        ("chain_id: 73311", f"chain_id: {'9' * 20}", "networks.aster.chain_id", "less than"),
        ("chain_id: 73311", f"chain_id: {'9' * 4_500}", "networks.aster.chain_id", "4500 digits"),
        ("production: '210987654321'", "production: 210987654321", "accounts.production", "string"),
        ("policy: literal", "policy: no", "policy", "no on line 1 | write true or false"),
        ("policy: literal", "policy: !!python/name:os.system x", "policy", "remove the tag"),
        ("policy: literal", "policy: literal\n7: x", "(file)", "write keys as text"),
    ],
)  # fmt: skip
def test_a_value_that_is_not_what_it_seems_is_refused_at_its_path(
    tmp_path: Path, line: str, written: str, path: str, problem: str
) -> None:
    """One row per way of writing it; nothing else is reported."""
    assert line in LITERAL

    before, _, after = LITERAL.rpartition(line)
    found = problems(as_file(tmp_path, before + written + after))

    assert list(found) == [path]
    assert problem in found[path]


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", "an empty file"),
        (b"# nothing yet\n", "an empty file"),
        (b"- policy: x\n", "a list"),
        (b"just words\n", "a str"),
        (LITERAL.replace("harbour", "häfen").encode("latin-1"), "which is not UTF-8"),
        (LITERAL.encode("utf-16"), "text in UTF-16"),
        (LITERAL.encode() + b"\0", "a NUL character"),
        (b"venue: " + b"[" * 2_000 + b"]" * 2_000, "more than 64 levels"),
        (LITERAL.encode() + b"---\n" + LITERAL.encode(), "a second document"),
        (b"venue:\n\tname: x\n", "indent with spaces, not tabs"),
        (b"#" * (256 << 10) + b"\n", "more than 262144 bytes"),
        (b"venue: {name: *x}\n", "undefined alias"),
    ],
)
def test_a_file_that_holds_no_policy_is_refused_as_a_whole(
    tmp_path: Path, data: bytes, found: str
) -> None:
    """What was found and what to do about it; never a fault of the kit."""
    said = problems(as_file(tmp_path, data))

    assert list(said) == ["(file)"]
    assert found in said["(file)"]


@pytest.mark.parametrize(
    "data",
    [
        LITERAL.encode(),
        ("\ufeff" + LITERAL.replace("\n", "\r\n")).encode(),
        ("# Was Hafen Zürich verspricht\n" + LITERAL).encode(),
    ],
    ids=["as it is", "byte order mark and CRLF", "a comment in another language"],
)
def test_every_usual_form_of_utf_8_is_read(tmp_path: Path, data: bytes) -> None:
    assert load_policy(as_file(tmp_path, data)).digest == policies.policy().digest


def test_a_section_pasted_a_second_time_is_named_with_its_lines(tmp_path: Path) -> None:
    """PyYAML would keep the second one and drop the first without a word."""
    second = LITERAL.count("\n") + 1
    first = LITERAL[: LITERAL.index("treasury: {top_up")].count("\n") + 1
    pasted = f"{LITERAL}treasury: {{top_up_below: '0.50', top_up_every: 10}}\n"

    found = problems(as_file(tmp_path, pasted))

    assert list(found) == ["treasury"]
    assert f"a second time on line {second}; the first is on line {first} |" in found["treasury"]


def test_problems_of_the_text_and_of_the_policy_are_reported_together(tmp_path: Path) -> None:
    changed = LITERAL.replace("page_max: 15s", "page_max: 15s, page_max: 12s")
    changed = changed.replace("lease_ttl: 12s", "lease_ttl: 12")

    assert set(problems(as_file(tmp_path, changed))) == {
        "targets.page_max",
        "drills.signing-region-dark.lease_ttl",
    }


CHILD = {"policy": "drill", "extends": "literal.yaml"}


@pytest.mark.parametrize(
    ("child", "path", "problem"),
    [
        ({"extends": "none.yaml"}, "extends", "'none.yaml', which cannot be read (No such file"),
        ({"extends": "."}, "extends", "'.', which cannot be read (Is a directory)"),
        ({"extends": "policy.yaml"}, "extends", "which extends another policy itself"),
        ({"extends": ""}, "extends", "'' | name a file beside this one"),
        ({"extends": None}, "extends", "None | name a file beside this one"),
        ({"extends": ["literal.yaml"]}, "extends", "name a file beside this one"),
        ({"extends": "a\0b"}, "extends", "embedded null byte"),
        ({"scale": "1/3"}, "scale", "'1/3' | write a mapping"),
        ({"scale": {"durations": 0.5}}, "scale.durations", f"0.5 | {RATIO}"),
        ({"scale": {"amounts": "0"}}, "scale.amounts", "'0' | write a factor above zero"),
        ({"scale": {"time": "1"}}, "scale.time", "no such key is known here"),
        ({"addresses": ["0x"]}, "addresses", "['0x'] | write a mapping"),
        ({"addresses": {"nobody": "0x"}}, "addresses.nobody", "name a cold wallet"),
        (
            {"addresses": {"customer-aster-hot": "0x"}},
            "addresses.customer-aster-hot",
            "name a cold",
        ),
    ],
)
def test_a_derived_policy_that_cannot_be_derived_is_refused(
    tmp_path: Path, child: dict[str, Any], path: str, problem: str
) -> None:
    write(tmp_path, tree(), "literal.yaml")

    found = problems(write(tmp_path, CHILD | child))

    assert list(found) == [path]
    assert problem in found[path]


def test_a_problem_of_the_extended_policy_names_its_file(tmp_path: Path) -> None:
    """Duplicate keys and bare durations there are refused as in the policy itself."""
    doubled = LITERAL.replace("regions:", "regions: {}\nregions:")
    (tmp_path / "literal.yaml").write_text(doubled)
    with pytest.raises(PolicyError, match=r"(?s)literal\.yaml has 1 problem.*regions: found the k"):
        load_policy(write(tmp_path, CHILD))

    (tmp_path / "literal.yaml").write_text(LITERAL.replace("lease_ttl: 12s", "lease_ttl: 12"))
    scaled = CHILD | {"scale": {"durations": "1/3"}}
    assert UNIT in problems(write(tmp_path, scaled))["drills.signing-region-dark.lease_ttl"]


def test_an_anchor_may_be_used_and_a_flood_of_them_may_not(tmp_path: Path) -> None:
    anchored = LITERAL.replace("every: 1h", "every: &hour 1h").replace(
        "cooling: 15m", "cooling: *hour"
    )
    assert load_policy(as_file(tmp_path, anchored)).approvals.routine.cooling == 3_600_000

    laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n + 1}: &a{n + 1} [{', '.join([f'*a{n}'] * 10)}]\n" for n in range(8)
    )
    assert "each alias counted" in problems(as_file(tmp_path, laughs))["(file)"]


def test_what_cannot_be_opened_is_the_callers_mistake(tmp_path: Path) -> None:
    """No policy, no guess."""
    with pytest.raises(UsageError, match=r"cannot read the policy .*none\.yaml: No such file"):
        load_policy(tmp_path / "none.yaml")
    with pytest.raises(UsageError, match=r"Is a directory \(name a file under policies/\)$"):
        load_policy(tmp_path)


def test_a_dumped_policy_is_the_same_policy() -> None:
    """A run directory keeps a policy as JSON, where durations are whole milliseconds."""
    policy = policies.policy({"limits.large_transfer_value_min": "0.00000001"})

    again = Policy.from_dump(policy.model_dump(mode="json", by_alias=True))

    assert again == policy
    assert again.digest == policy.digest


def test_the_literal_policy_is_one_that_a_user_could_write(tmp_path: Path) -> None:
    """Every rule and every sum holds for it, also when all durations are a third."""
    assert policies.load(tmp_path, tree()).digest == policies.policy().digest
    (tmp_path / "literal.yaml").write_text(yaml.safe_dump(tree()))
    scaled = load_policy(write(tmp_path, CHILD | {"scale": {"durations": "1/3"}}))
    assert scaled.targets.page_max == 5_000
