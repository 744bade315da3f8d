"""Judges a drill of one control again, from the evidence that it left."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from seawall.conventions import drills
from seawall.drill.neighbour import judge as neighbour
from seawall.drill.result import DrillResult
from seawall.drill.segregation import judge as segregation
from seawall.drill.segregation.door import Stray
from seawall.drill.segregation.trials import Found, Proof, Trial
from seawall.errors import EvidenceError
from seawall.keys import access
from seawall.policy import Policy
from seawall.scorecard.outcome import Finding, unknown

POLICY = "policy.json"


def single_drill_of(directory: Path) -> str | None:
    """The drill of one control whose evidence lies in ``directory``; None if there is none."""
    return next((name for name in _JUDGES if (directory / f"{name}.json").is_file()), None)


def judge_again(directory: Path, drill: str) -> DrillResult:
    """The result that the evidence of ``drill`` in ``directory`` has now; never raises.

    Evidence that cannot be read is UNKNOWN.
    """
    document: Mapping[str, Any] = {}
    try:
        _require_alone(directory, drill)
        document = _object(_of(directory, drill))
        policy = _policy(directory, str(document["conditions"]["policy_digest"]))
        findings = _JUDGES[drill](policy, document)
    # whatever a file holds instead of evidence, the answer is that nothing is known
    except Exception as error:  # noqa: BLE001
        reason = f"{drill}.json: {type(error).__name__}: {error}"
        findings = {"evidence.complete": unknown(target="the evidence of the drill", reason=reason)}
    conditions = document.get("conditions")
    return DrillResult(
        drill=drill,
        sentence=str(document.get("sentence", "judged again")),
        findings=findings,
        conditions=conditions if isinstance(conditions, dict) else {},
        evidence=document.get("evidence"),
    )


def _neighbour(policy: Policy, document: Mapping[str, Any]) -> dict[str, Finding]:
    conditions = document["conditions"]
    buckets = {who: policy.wallets[wallet].bucket for who, wallet in conditions["wallets"].items()}
    return neighbour.judge(
        policy,
        [neighbour.Answer(**answer) for answer in document["evidence"]],
        noisy=buckets["noisy"],
        quiet=buckets["quiet"],
        operations_per_s=int(conditions["operations_per_s"]),
    )


def _segregation(policy: Policy, document: Mapping[str, Any]) -> dict[str, Finding]:
    evidence = document["evidence"]
    protected = document["conditions"]["protected"] is True
    who = (*access.principals(policy), access.DEPLOYER)
    cells = list(access.matrix(policy, protected=protected, who=who))
    by_place = {
        (cell.principal.name, cell.key.name, cell.region, cell.tried.action): cell for cell in cells
    }

    def trials_of(lines: Iterable[Mapping[str, Any]]) -> list[Trial]:
        return [
            Trial(
                cell=by_place[line["principal"], line["key"], line["region"], line["action"]],
                found=Found(line["found"]),
                code=line["code"],
                on=line["on"],
            )
            for line in lines
        ]

    return segregation.judge(
        cells=cells,
        trials=trials_of(evidence["cells"]),
        keys=list(dict.fromkeys((cell.key.name, cell.region) for cell in cells)),
        proofs=[
            Proof(**{name: value for name, value in line.items() if name != "proven"})
            for line in evidence["proofs"]
        ],
        cold=[name for name, wallet in policy.wallets.items() if wallet.wallet_class == "cold"],
        beside=[Stray(**line | {"found": Found(line["found"])}) for line in evidence["beside"]],
        # Where it had to be tried, evidence without it says nothing.
        behind=trials_of(evidence["behind"] or ()) if document["conditions"]["harm"] else None,
    )


_JUDGES: Mapping[str, Callable[[Policy, Mapping[str, Any]], dict[str, Finding]]] = {
    drills.NEIGHBOUR: _neighbour,
    drills.SEGREGATION: _segregation,
}


def _require_alone(directory: Path, drill: str) -> None:
    others = [name for name in _JUDGES if name != drill and _of(directory, name).is_file()]
    if others:
        raise EvidenceError(f"there is evidence of {', '.join(others)}, too")


def _of(directory: Path, drill: str) -> Path:
    return directory / f"{drill}.json"


def _policy(directory: Path, digest: str) -> Policy:
    try:
        policy = Policy.from_dump(_object(directory / POLICY))
    except ValidationError as error:
        raise EvidenceError(f"{POLICY} is no policy: {error.error_count()} problems") from error
    if policy.digest != digest:
        raise EvidenceError(f"{POLICY} is not the policy that the drill names")
    return policy


def _object(path: Path) -> Mapping[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EvidenceError(f"{path.name} cannot be read: {error.strerror}") from error
    if not isinstance(found, dict):
        raise EvidenceError(f"{path.name} holds no object")
    return found
