"""What the offline kit holds.

Runbooks, signing procedures, recovery steps, the contact tree and the promises; pure but for
reading the runbooks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from seawall.conventions import aws
from seawall.errors import UsageError
from seawall.policy import Policy

RUNBOOKS = Path("docs") / "runbooks"
NEEDED = ("signing-procedures.md", "recovery-steps.md")
"""Without these the kit is a pile of paper."""


def contents_of(policy: Policy, *, repository: Path) -> dict[str, str]:
    """Text by path within the kit, the digest list last.

    Raises :class:`UsageError` if a document is missing.
    """
    found = {
        path.name: path.read_text(encoding="utf-8")
        for path in sorted((repository / RUNBOOKS).glob("*.md"))
    }
    missing = [name for name in NEEDED if name not in found]
    if missing:
        message = f"the offline kit lacks {', '.join(missing)}"
        raise UsageError(message, remedy=f"write them in {RUNBOOKS}; in an emergency nobody will")
    files = {f"runbooks/{name}": text for name, text in found.items()}
    files["contacts.md"] = contacts(policy)
    files["policy.json"] = (
        json.dumps(
            policy.model_dump(mode="json", by_alias=True),
            indent=1,
            sort_keys=True,
            ensure_ascii=False,
        )
        + "\n"
    )
    return {**files, aws.DIGEST_LIST: digest_list(files)}


def digests_of(files: Mapping[str, str]) -> dict[str, str]:
    """SHA-256 by path, of the bytes as they are stored."""
    return {path: hashlib.sha256(text.encode()).hexdigest() for path, text in sorted(files.items())}


def digest_list(files: Mapping[str, str]) -> str:
    """What `sha256sum -c` takes: a line per file, the digest, two blanks, the path."""
    return "".join(f"{digest}  {path}\n" for path, digest in digests_of(files).items())


def contacts(policy: Policy) -> str:
    """The contact tree: who is reached how, who is paged by what, and who may approve what."""
    lines = [
        f"# Contacts of {policy.venue.name}",
        "",
        f"Policy {policy.policy}, digest {policy.digest}.",
        "",
        "## Roles",
        "",
    ]
    for name, role in sorted(policy.roles.items()):
        owned = sorted(
            bucket for bucket, declared in policy.buckets.items() if declared.owner == name
        )
        lines.append(
            f"- **{name}**: {role.email}" + (f"; owns {', '.join(owned)}" if owned else "")
        )
    lines += ["", "## Who is paged by what", ""]
    for trigger in policy.triggers:
        lines.append(f"- {trigger.name} ({trigger.severity}): {', then '.join(trigger.pages)}")
    lines += ["", "## Who approves", ""]
    for name, lane in (
        ("routine", policy.approvals.routine),
        ("emergency", policy.approvals.emergency),
    ):
        lines.append(
            f"- {name}: {lane.needed} of {', '.join(lane.approvers)}; up to {lane.value_max} {policy.venue.unit_of_account} in one movement"
        )
    return "\n".join(lines) + "\n"
