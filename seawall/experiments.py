"""Chaos Toolkit experiments, rendered from the drills of a policy; pure.

An experiment is wholly given by its drill, so a judge can compare what was run with what the policy
declares. Every number stands once, under ``configuration``; activities refer to it as ``${name}``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from seawall.conventions.environment import NOOP_VARIABLE
from seawall.policy import Drill, PlannedFault, Policy
from seawall.policy.drilling import SteadyState

_ACTIONS, _PROBES = "chaos.actions", "chaos.probes"
_STEADY_STATE: Mapping[SteadyState, str] = {
    "api_answers": "a-customer-can-log-in",
    "status_reachable": "the-status-is-what-the-policy-promises",
    "mode_controller_beats": "the-mode-controller-beats",
    "withdrawal_completes": "a-small-withdrawal-completes",
    "payouts_progress": "payouts-progress",
}
"""Functions of the probes of the steady state, and their names in an experiment."""


def experiment_of(policy: Policy, name: str) -> dict[str, Any]:
    """The experiment of the drill called ``name``. Raises KeyError.

    The method waits for the end of the flood if the drill has no fault, so that the steady state is
    read before and after it in any case.
    """
    drill = policy.drills[name]
    keys = _keys(drill)
    return {
        "title": drill.title,
        "description": (
            f"The drill {name} of the policy {policy.policy}. Rendered from it; all numbers are"
            f" under configuration. With {NOOP_VARIABLE}=1 its faults are not applied, and all else"
            " is done: what such a run shows is caused by the experiment itself."
        ),
        "tags": [policy.policy, *dict.fromkeys(fault.fault for fault in drill.faults)],
        "configuration": {
            "drill": name,
            "noop": {"type": "env", "key": NOOP_VARIABLE, "default": ""},
            "calm_ms": drill.flood.calm,
            "flood_ms": drill.flood.length,
            **({"lease_ttl_ms": drill.lease_ttl} if keys else {}),
            "blast_radius": list(drill.blast_radius),
            **faults_of(drill),
        },
        "runtime": {"hypothesis": {"strategy": "default"}, "rollbacks": {"strategy": "always"}},
        "steady-state-hypothesis": {
            "title": "The venue is in its steady state",
            "probes": [
                {
                    "type": "probe",
                    "name": probe,
                    "tolerance": True,
                    "provider": {"type": "python", "module": _PROBES, "func": function},
                }
                for function, probe in _STEADY_STATE.items()
                if function in drill.steady_state
            ],
        },
        "method": _method(keys),
        "rollbacks": [
            _action(f"undo-{_words(keys[key])}", "revert_fault", key) for key in reversed(keys)
        ]
        or [_action("nothing-to-undo", "nothing")],
    }


def experiments_of(policy: Policy) -> dict[str, dict[str, Any]]:
    """The experiment of every drill of ``policy``, by the name of the drill."""
    return {name: experiment_of(policy, name) for name in policy.drills}


def text_of(experiment: Mapping[str, Any]) -> str:
    """``experiment`` as the text of its file."""
    return json.dumps(experiment, indent=2, ensure_ascii=False) + "\n"


def digest_of(experiment: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of ``experiment``."""
    text = json.dumps(experiment, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def faults_of(drill: Drill) -> dict[str, dict[str, Any]]:
    """The faults of ``drill`` as its experiment declares them, by their key."""
    return {key: _declared(fault) for key, fault in _keys(drill).items()}


def _keys(drill: Drill) -> dict[str, PlannedFault]:
    return {f"fault_{number}": fault for number, fault in enumerate(drill.faults, start=1)}


def _declared(fault: PlannedFault) -> dict[str, Any]:
    return {
        "fault": fault.fault,
        "target": fault.target,
        "parameters": dict(fault.parameters),
        "after_ms": fault.after,
        "length_ms": fault.length,
    }


def _method(keys: Mapping[str, PlannedFault]) -> list[dict[str, Any]]:
    """Applying and undoing each fault, in the order of their planned times."""
    if not keys:
        return [_action("wait-for-the-end-of-the-flood", "wait_for_end")]
    begins = [(fault.after, 1, key) for key, fault in keys.items()]
    ends = [(fault.ends, 0, key) for key, fault in keys.items()]
    method = []
    for _, begin, key in sorted([*begins, *ends]):
        words = _words(keys[key])
        if begin:
            method += [
                _action(f"wait-for-{words}", "wait_for_fault", key),
                _action(f"apply-{words}", "apply_fault", key),
            ]
        else:
            method += [
                _action(f"hold-{words}", "hold_fault", key),
                _action(f"undo-{words}", "revert_fault", key),
            ]
    return method


def _words(fault: PlannedFault) -> str:
    return f"{fault.fault}-of-{fault.target}"


def _action(name: str, function: str, key: str | None = None) -> dict[str, Any]:
    provider: dict[str, Any] = {"type": "python", "module": _ACTIONS, "func": function}
    if key is not None:
        provider["arguments"] = {"fault": f"${{{key}}}"}
    return {"type": "action", "name": name, "provider": provider}
