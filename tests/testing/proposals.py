"""Previews for tests, written out as the engine would print them, and their judgement."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seawall.change_review.freeze import Freeze, tier_known
from seawall.change_review.judgement import Judgement, exposures_of, judge
from seawall.change_review.override import Override
from seawall.change_review.preview import parse
from seawall.policy_file import load_policy

ROOT = Path(__file__).resolve().parents[2]
POLICY = load_policy(ROOT / "policies" / "sandbox.yaml")
NOW = datetime(2030, 1, 15, 12, 0, tzinfo=UTC)
CALM = Freeze(sources=(tier_known("normal", reason=""),))
STACK = "urn:pulumi:production::seawall::pulumi:pulumi:Stack::seawall-production"
ADDRESS = "0x" + "ab" * 20
PROVIDER = "urn:pulumi:production::seawall::pulumi:providers:aws::aws"
WALLET_TAGS = {"bucket": "customer", "owner": "treasury-lead", "wallet": "customer-aster-hot"}


def urn(kind: str, name: str) -> str:
    return f"urn:pulumi:production::seawall::seawall:infra:WalletSigner${kind}::{name}"


def step(
    kind: str,
    before: Mapping[str, Any] | None,
    after: Mapping[str, Any] | None,
    *,
    op: str = "",
    name: str = "customer-aster-hot",
    protect: tuple[bool, bool] = (False, False),
    providers: tuple[str, str] = (PROVIDER, PROVIDER),
    custom: bool = True,
) -> dict[str, Any]:
    """One step; the operation follows from what was and what would be, unless it is given."""
    op = op or ("create" if before is None else "delete" if after is None else "update")
    found: dict[str, Any] = {
        "op": op,
        "urn": urn(kind, name),
        "provider": f"{providers[0]}::1",
        "detailedDiff": None,
    }
    for key, inputs, protected, provider in (
        ("oldState", before, protect[0], providers[0]),
        ("newState", after, protect[1], providers[1]),
    ):
        if inputs is not None:
            found[key] = {
                "urn": found["urn"],
                "custom": custom,
                "type": kind,
                "inputs": dict(inputs),
                "provider": f"{provider}::{key}",
                **({"protect": True} if protected else {}),
            }
    return found


def document(
    *steps: Mapping[str, Any], diagnostics: list[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """A whole preview: the stack itself with its outputs, then ``steps``."""
    outputs = {"signers": {"customer-aster-hot": {"address": ADDRESS}}}
    root = {
        "op": "same",
        "urn": STACK,
        "oldState": {
            "urn": STACK,
            "custom": False,
            "type": "pulumi:pulumi:Stack",
            "outputs": outputs,
        },
    }
    every = [root, *steps]
    found: dict[str, Any] = {
        "config": {},
        "steps": every,
        "duration": 1,
        "changeSummary": dict(Counter(each["op"] for each in every)),
    }
    return {**found, "diagnostics": diagnostics} if diagnostics else found


def judged(
    *steps: Mapping[str, Any],
    diagnostics: list[dict[str, Any]] | None = None,
    freeze: Freeze = CALM,
    override: Override | None = None,
    now: datetime = NOW,
    exit_code: int | None = None,
) -> Judgement:
    preview = parse(json.dumps(document(*steps, diagnostics=diagnostics)), exit_code=exit_code)
    return judge(
        preview,
        policy=POLICY,
        freeze=freeze,
        override=override,
        now=now,
        exposures=exposures_of(preview, POLICY),
    )


def refusals(judgement: Judgement) -> set[str]:
    return {finding.rule.id for finding in judgement.findings}


def policy_text(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(principal: Any, *actions: str, resource: str = "*", **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": list(actions),
        "Resource": resource,
        **more,
    }


def deny(principal: Any, *actions: str, **more: Any) -> dict[str, Any]:
    return {
        "Effect": "Deny",
        "Principal": principal,
        "Action": list(actions),
        "Resource": "*",
        **more,
    }
