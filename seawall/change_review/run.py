"""Review one change: read the preview, ask endpoints, judge, and journal an override."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from seawall.change_review import journal, sources
from seawall.change_review.engine import engine_here, has_chosen_a_stack
from seawall.change_review.freeze import Freeze, tier_absent
from seawall.change_review.judgement import Judgement, ReviewOutcome, exposures_of, judge
from seawall.change_review.override import Override
from seawall.change_review.preview import Change, Preview, parse
from seawall.conventions import environment
from seawall.errors import UsageError
from seawall.formats.deployment import Deployment, deployment_of_environment, load_deployment
from seawall.formats.documents import JSON_BYTES_MAX, read_json, read_text
from seawall.policy import Policy
from seawall.policy_file import load_policy
from seawall.sandbox_program import kept_deployment

STANDARD_INPUT = "-"
JOURNAL_FILE = "change-journal.jsonl"
_VENUE_FILE = "venue.json"


@dataclass(frozen=True, kw_only=True)
class ReviewRequest:
    """The options of a review.

    None leaves an option to the environment, and for the sandbox's own stack to its data directory.
    """

    root: Path
    now: datetime
    preview: str | None = None
    stack: str | None = None
    config_file: Path | None = None
    policy: Path | None = None
    policy_before: Path | None = None
    override: Override | None = None
    journal: Path | None = None
    incident: Path | None = None
    status_url: str | None = None
    no_venue: bool = False
    rpc: Mapping[str, str] = field(default_factory=dict)
    venue: Path | None = None


def review_change(request: ReviewRequest) -> Judgement:
    """Judge the change, and journal an override that takes effect.

    Raises:
        EvidenceError: there is no preview to judge.
        UsageError: options do not fit together.
        WorldError: the journal cannot be written; an override without its entry does not count.
    """
    preview = _preview(request)
    sandbox = _sandbox_of(preview)
    policy = _policy(request, preview, sandbox)
    path = _named(request.journal, environment.CHANGE_JOURNAL_VARIABLE, sandbox, JOURNAL_FILE)
    faults = (
        [f"the journal does not hold: {each}" for each in journal.breaks(path)]
        if path is not None
        else []
    )
    freeze = _freeze(request, sandbox)
    before = load_policy(request.policy_before) if request.policy_before is not None else None
    exposures = exposures_of(preview, policy, before=before)
    plain = judge(
        preview, policy=policy, freeze=freeze, override=None, now=request.now, exposures=exposures
    )
    at_risk = {finding.change.urn for finding in plain.findings if finding.exposure is not None}
    live = sources.balances(
        (exposures[urn] for urn in sorted(at_risk)), chains=_chains(request, sandbox)
    )
    judgement = judge(
        preview,
        policy=policy,
        freeze=freeze,
        override=request.override,
        now=request.now,
        faults=faults,
        exposures={urn: exposure.with_live(live) for urn, exposure in exposures.items()},
    )
    if judgement.outcome is ReviewOutcome.ALLOWED and judgement.overridden:
        _write_down(judgement, path, now=request.now)
    return judgement


def _preview(request: ReviewRequest) -> Preview:
    if request.preview is None:
        done = engine_here(request.root, stack=request.stack, config_file=request.config_file).run(
            "preview", "--json", "--show-sames"
        )
        preview = parse(done.stdout, exit_code=done.exit_code, stderr=done.stderr)
    else:
        preview = parse(_text(request.preview))
    if request.stack is not None and request.stack.rpartition("/")[2] != preview.stack:
        raise UsageError(
            f"the preview is of the stack {preview.stack}, not of {request.stack}",
            remedy="give the preview of the stack that is meant",
        )
    return preview


def _text(source: str) -> str:
    if source == STANDARD_INPUT:
        return sys.stdin.read()
    return read_text(
        Path(source),
        bytes_max=JSON_BYTES_MAX,
        remedy="make one with `pulumi preview --json --show-sames`",
    )


def _sandbox_of(preview: Preview) -> Deployment | None:
    """Return the deployment of the stack; None for another stack, whatever the environment says."""
    named = deployment_of_environment()
    if named is not None:
        found = load_deployment(named) if named.is_file() else None
    else:
        found = None if has_chosen_a_stack() else kept_deployment()
    return found if found is not None and found.stack == preview.stack else None


def _policy(request: ReviewRequest, preview: Preview, sandbox: Deployment | None) -> Policy:
    """The policy that the stack is declared from.

    As asked, else as the environment says, else as the stack's configuration names it.
    """
    declared = preview.config.get("seawall:policy")
    in_force = os.environ.get(environment.POLICY_VARIABLE)
    if request.policy is not None:
        path = request.policy
    elif declared:
        path = request.root / declared
    elif in_force:
        path = Path(in_force)
    elif sandbox is not None:
        path = sandbox.policy
    else:
        message = (
            f"no policy: neither --policy nor the configuration of {preview.stack}"
            " nor the environment names one"
        )
        raise UsageError(message, remedy="say --policy policies/<name>.yaml")
    policy = load_policy(path)
    digests = {
        tags["policy"] for change in preview.changes for tags in _tags(change) if "policy" in tags
    }
    if digests and policy.infrastructure_digest not in digests:
        message = (
            f"the stack {preview.stack} is declared from another policy than {path}"
            f" (its digest is {policy.infrastructure_digest[:12]}...)"
        )
        raise UsageError(
            message,
            remedy="give the policy that the preview was made with: --policy policies/<name>.yaml",
        )
    return policy


def _tags(change: Change) -> Iterator[Mapping[str, Any]]:
    """Yield the tags of a resource, and the default tags of a provider.

    The default tags are a mapping, or its JSON.
    """
    after = change.after or {}
    defaults = after.get("defaultTags")
    if isinstance(defaults, str):
        try:
            defaults = json.loads(defaults)
        except ValueError:
            defaults = None
    for tags in (
        after.get("tags"),
        (defaults or {}).get("tags") if isinstance(defaults, dict) else None,
    ):
        if isinstance(tags, dict):
            yield tags


def _freeze(request: ReviewRequest, sandbox: Deployment | None) -> Freeze:
    if request.no_venue:
        tier = tier_absent()
    else:
        tier = sources.tier(
            request.status_url or (sandbox.urls.api_direct if sandbox is not None else None)
        )
    marker = _named(
        request.incident, environment.INCIDENT_VARIABLE, sandbox, environment.INCIDENT_FILE
    )
    return Freeze(sources=(tier, sources.incident(marker)))


def _chains(request: ReviewRequest, sandbox: Deployment | None) -> sources.Chains:
    rpc = (
        {name: network.node for name, network in sandbox.networks.items()}
        if sandbox is not None
        else {}
    )
    path = request.venue or (sandbox.data_dir / _VENUE_FILE if sandbox is not None else None)
    venue: Any = None
    if path is not None and (request.venue is not None or path.is_file()):
        remedy = "--venue takes the venue.json of the venue on this stack"
        venue = read_json(path, remedy=remedy)
        try:
            return sources.chains_of(venue, {**rpc, **request.rpc})
        except (ValueError, AttributeError) as error:
            raise UsageError(f"{path} is no venue configuration: {error}", remedy=remedy) from error
    return sources.chains_of(None, {**rpc, **request.rpc})


def _named(
    option: Path | None, variable: str, sandbox: Deployment | None, file: str
) -> Path | None:
    """A file by option, environment, or in the sandbox's data directory."""
    if option is not None:
        return option
    named = os.environ.get(variable)
    if named:
        return Path(named)
    return sandbox.data_dir / file if sandbox is not None else None


def _write_down(judgement: Judgement, path: Path | None, *, now: datetime) -> None:
    if path is None:
        raise UsageError(
            "an override needs a journal to be written in before it counts",
            remedy=f"name it with --journal or {environment.CHANGE_JOURNAL_VARIABLE},"
            " outside the work tree",
        )
    override = judgement.override
    assert override is not None
    body = {
        "at": now.isoformat(),
        "who": override.who,
        "expires": override.expires.isoformat(),
        "stack": judgement.preview.stack,
        "policy": judgement.policy.digest,
        "preview": judgement.preview.digest,
        "freeze": judgement.freeze.reasons,
        "covers": [
            {
                "rule": finding.rule.id,
                "urn": finding.change.urn,
                "op": finding.change.op,
                "change": finding.change.digest,
                "evidence": list(finding.evidence),
                "maximum_value_micro": finding.exposure.maximum_value_micro
                if finding.exposure is not None
                else None,
            }
            for finding in judgement.overridden
        ],
    }
    journal.append(path, kind=journal.OVERRIDE, justification=override.justification, body=body)
