"""Checks of the segregation drill, from what was tried and what was answered.

The matrix is compared with the policy's, and two claims are read off what was found alone, so that
a mistake in the declaration, from which stack and expectation both follow, does not hide itself:
one signer per key and region, and no principal with power over two buckets. What an Allow through
the fault role's door adds is compared with what was found without it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping

from seawall.keys.access import Cell
from seawall.scorecard.facts import Facts
from seawall.scorecard.one_control import Found
from seawall.scorecard.outcome import Finding, check, failed, passed, unknown
from seawall.scorecard.producers import Producer

_SIGN = "kms:Sign"
_EVIDENCE = ("policy.json", "segregation.json")
_BELIEVES: Mapping[Producer, str] = {
    "control drill": "an answer that AWS never gave; CloudTrail has every call that it says it made"
}
_AS_DECLARED = (
    "Bring the stack up from this policy with `pulumi up`, and see with `seawall drift` what was"
    " changed beside it."
)


@check(
    "segregation.complete",
    question=(
        "Was every action of every principal on every key tried in the stack's own account, and"
        " clearly answered?"
    ),
    motivation=(
        "A cell that was not tried may be the one that is open, and another account's answers say"
        " nothing of this one."
    ),
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=(
        "Say to the account who may try what: every principal must be able to take its role on."
    ),
)
def complete(facts: Facts) -> Finding:
    """UNKNOWN with every cell that was not tried or gave no clear answer, or tried elsewhere."""
    cells, trials = facts.run.segregation.cells, facts.run.segregation.trials
    account, observed = facts.run.segregation.account, facts.run.segregation.observed_accounts
    target = f"{len(cells):,} cells tried, each with a clear answer"
    tried = {_place(trial.cell) for trial in trials}
    missing = [cell for cell in cells if _place(cell) not in tried]
    unclear = [trial for trial in trials if trial.found is Found.UNCLEAR]
    measured = f"{len(tried):,} tried, {len(unclear):,} unclear"
    if not cells:
        return unknown(target=target, reason="the policy declares no principals or keys")
    elsewhere = [
        f"{name} is of account {observed.get(name, 'that nobody knows')}, and the stack's is"
        f" {account or 'not in the policy'}"
        for name in dict.fromkeys(cell.principal.name for cell in cells)
        if account is None or observed.get(name) != account
    ]
    if elsewhere:
        return unknown(measured=measured, target=target, reason=elsewhere[0], details=elsewhere)
    if missing or unclear:
        details = [trial.sentence() for trial in unclear] + [
            f"{cell.principal.name} x {cell.key.name} x {cell.region} x {cell.tried.action}"
            " was not tried"
            for cell in missing
        ]
        reason = f"{len(missing):,} cells were not tried and {len(unclear):,} gave no clear answer"
        return unknown(measured=measured, target=target, reason=reason, details=details)
    on_canary = sum(trial.on == "canary" for trial in trials)
    return passed(
        measured=measured,
        target=target,
        reason=f"{on_canary:,} of them on a canary that carries the key's own policy",
    )


def _place(cell: Cell) -> tuple[str, str, str, str]:
    return cell.principal.name, cell.key.name, cell.region, cell.tried.action


@check(
    "segregation.matrix",
    question="Does the account allow and deny exactly what the policy says?",
    motivation="One right too many is how money leaves; one too few stops payouts when it counts.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_AS_DECLARED,
    proves_alone=True,
)
def matrix(facts: Facts) -> Finding:
    """FAIL with every cell that differs from the policy."""
    trials = facts.run.segregation.trials
    target = "every cell as the policy says"
    clear = [trial for trial in trials if trial.found is not Found.UNCLEAR]
    wrong = [trial for trial in clear if not trial.as_expected]
    measured = f"{len(wrong):,} of {len(clear):,} cells differ"
    if wrong:
        return failed(
            measured=measured,
            target=target,
            reason=wrong[0].sentence(),
            details=[trial.sentence() for trial in wrong],
        )
    if not any(trial.cell.allowed for trial in clear):
        return unknown(
            measured=measured, target=target, reason="nothing that should be allowed was tried"
        )
    allowed = sum(trial.cell.allowed for trial in clear)
    return passed(
        measured=measured,
        target=target,
        reason=f"{allowed:,} allowed and {len(clear) - allowed:,} denied as declared",
    )


@check(
    "segregation.one_signer",
    question="Can exactly one principal sign with each key in each region?",
    motivation="Two signers of one key pay twice, and a key without one pays nobody.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_AS_DECLARED,
    proves_alone=True,
)
def one_signer(facts: Facts) -> Finding:
    """FAIL with every key and region that has none or several."""
    trials = facts.run.segregation.trials
    target = "exactly one principal signs with a key in a region"
    signers: dict[tuple[str, str], list[str]] = defaultdict(list)
    tries: Counter[tuple[str, str]] = Counter()
    for trial in trials:
        if trial.cell.tried.action == _SIGN and trial.found is not Found.UNCLEAR:
            place = trial.cell.key.name, trial.cell.region
            tries[place] += 1
            if trial.found is Found.ALLOWED:
                signers[place].append(trial.cell.principal.name)
    everyone = max(tries.values(), default=0)
    # Where a principal was not tried, two signers are proven, and none is not.
    wrong = {
        place: signers[place]
        for place in tries
        if len(signers[place]) > 1 or (not signers[place] and tries[place] == everyone)
    }
    measured = f"{len(wrong)} wrong of {len(tries)} keys and regions"
    if not tries:
        return unknown(measured=measured, target=target, reason="no principal tried to sign")
    if wrong:
        details = [
            f"{key} in {region}: {', '.join(names) or 'no principal'}"
            for (key, region), names in sorted(wrong.items())
        ]
        return failed(measured=measured, target=target, reason=details[0], details=details)
    if min(tries.values()) != everyone:
        return unknown(
            measured=measured,
            target=target,
            reason="not every principal tried to sign with every key",
        )
    return passed(
        measured=measured, target=target, reason="read off what was found, not off the declaration"
    )


@check(
    "segregation.buckets_apart",
    question="Is every principal kept to the keys of one bucket?",
    motivation="Whoever takes over one principal must not reach the money of a second bucket.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_AS_DECLARED,
    proves_alone=True,
)
def buckets_apart(facts: Facts) -> Finding:
    """FAIL with every principal that has power over two.

    The deployer provisions for every bucket, which is why it may neither sign nor make grants. The
    matrix holds that.
    """
    trials = facts.run.segregation.trials
    target = "only the deployer can sign with, stop or change keys of two buckets"
    reach: dict[str, set[str]] = defaultdict(set)
    for trial in trials:
        cell = trial.cell
        if cell.principal.kind != "deployer" and (cell.tried.changes or cell.tried.action == _SIGN):
            touched = reach[cell.principal.name]
            if trial.found is Found.ALLOWED:
                touched.add(cell.key.bucket or f"approver {cell.key.approver}")
    wrong = {name: buckets for name, buckets in reach.items() if len(buckets) > 1}
    measured = f"{len(wrong)} of {len(reach)} principals reach two buckets"
    if not any(reach.values()):
        return unknown(
            measured=measured,
            target=target,
            reason="no principal reached any bucket, so no allowed call was tried",
        )
    if wrong:
        details = [
            f"{name} reaches {', '.join(sorted(buckets))}"
            for name, buckets in sorted(wrong.items())
        ]
        return failed(measured=measured, target=target, reason=details[0], details=details)
    return passed(
        measured=measured, target=target, reason="read off what was found, not off the declaration"
    )


@check(
    "segregation.fault_role",
    question="Can the fault role do nothing but write inline policies of the signers' roles?",
    motivation=(
        "AWS restricts neither what such a policy says nor how it is called, so the role is tried."
    ),
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_AS_DECLARED,
    proves_alone=True,
)
def fault_role(facts: Facts) -> Finding:
    """FAIL with every call beside its door that was allowed, and if the door is shut."""
    beside = facts.run.segregation.beside
    target = "the fault role writes inline policies of the signers' roles, and nothing else"
    unclear = [each for each in beside if each.found is Found.UNCLEAR]
    wrong = [each for each in beside if each not in unclear and not each.as_expected]
    measured = f"{len(wrong)} of {len(beside)} calls differ"
    if wrong:
        details = [each.sentence() for each in wrong]
        return failed(measured=measured, target=target, reason=details[0], details=details)
    if unclear or not any(each.allowed for each in beside):
        reason = unclear[0].sentence() if unclear else "it did not try what it is for"
        return unknown(measured=measured, target=target, reason=reason)
    denied = sum(not each.allowed for each in beside)
    return passed(measured=measured, target=target, reason=f"{denied} calls beside it were denied")


@check(
    "segregation.door",
    question="Does the widest Allow that the fault role can write let a signer do nothing more?",
    motivation="Key policies and boundaries must hold, whatever an inline policy allows.",
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=_AS_DECLARED,
    proves_alone=True,
    play_money=True,
)
def door(facts: Facts) -> Finding:
    """FAIL with every cell that the Allow opened.

    That is more than the policy says and than was found without it, so nothing is said twice.
    """
    cells, trials = facts.run.segregation.cells, facts.run.segregation.trials
    behind = facts.run.segregation.behind
    target = "an Allow of everything on the signers' roles lets them do nothing more"
    wanted = {_place(cell) for cell in cells if cell.principal.kind == "signer"}
    clear = {_place(each.cell): each for each in behind if each.found is not Found.UNCLEAR}
    before = {_place(each.cell) for each in trials if each.found is Found.ALLOWED}
    more = [
        each
        for place, each in clear.items()
        if each.found is Found.ALLOWED and not each.cell.allowed and place not in before
    ]
    measured = f"{len(more):,} of {len(clear):,} cells allow more"
    if more:
        return failed(
            measured=measured,
            target=target,
            reason=more[0].sentence(),
            details=[each.sentence() for each in more],
        )
    missing = wanted - set(clear)
    if missing or not any(each.found is Found.ALLOWED for each in clear.values()):
        reason = f"{len(missing):,} cells have no clear answer" if missing else "no signer signed"
        return unknown(measured=measured, target=target, reason=reason)
    return passed(
        measured=measured,
        target=target,
        reason="tried while the fault role allowed every signer kms:* on everything",
    )


@check(
    "control.keys",
    question="Does every key answer in both regions with the declared address?",
    motivation=(
        "A key that is not there, or is another one, is found before money is sent to its address."
    ),
    evidence=_EVIDENCE,
    believes=_BELIEVES,
    remediation=(
        "Compare the stack's outputs with the policy; a key that was replaced has another address."
    ),
    proves_alone=True,
)
def keys_answer(facts: Facts) -> Finding:
    """FAIL with every key that answers with another address, UNKNOWN with every silent one."""
    keys, proofs = facts.run.segregation.keys, facts.run.segregation.proofs
    cold = facts.run.segregation.cold
    target = "every key answers in both regions with the declared address"
    by_place = {(proof.name, proof.region): proof for proof in proofs}
    silent, wrong = [], []
    for name, region in keys:
        proof = by_place.get((name, region))
        if proof is None or proof.recovered is None:
            silent.append(
                f"{name} in {region} did not answer:"
                f" {proof.reason if proof else 'it was not asked'}"
            )
        elif not proof.proven:
            wrong.append(
                f"{name} in {region} answers for {proof.recovered}, declared is {proof.declared}"
            )
    not_here = [f"not proven: {name} is cold, its key is not in this stack" for name in cold]
    measured = f"{len(keys) - len(silent) - len(wrong)} of {len(keys)} proven"
    if wrong:
        return failed(
            measured=measured, target=target, reason=wrong[0], details=[*wrong, *silent, *not_here]
        )
    if silent or not keys:
        reason = silent[0] if silent else "there are no keys"
        return unknown(
            measured=measured, target=target, reason=reason, details=[*silent, *not_here]
        )
    reason = (
        "each signed a text that names stack, key and time;"
        f" not proven: {', '.join(cold) or 'none'} (cold)"
    )
    return passed(measured=measured, target=target, reason=reason, details=not_here)


@check(
    "control.logged",
    question="Is every proof of a wallet's key in its signer's log?",
    motivation="A signature that the log lacks is one that nothing else would refuse to repeat.",
    evidence=_EVIDENCE,
    believes={"control drill": "a proof in a log that has it not; whoever reads that log sees it"},
    remediation=(
        "Let the drill read the signers' log, and look there for the proofs that it lacks."
    ),
)
def logged(facts: Facts) -> Finding:
    """FAIL with every proof that the log lacks, UNKNOWN if it was not read."""
    proofs = facts.run.segregation.proofs
    target = "every proof of a wallet's key is in its signer's log"
    through = [
        proof for proof in proofs if proof.logged is not None and proof.recovered is not None
    ]
    lost = [f"{proof.name} in {proof.region}" for proof in through if not proof.logged]
    measured = f"{len(through) - len(lost)} of {len(through)} logged"
    if not through:
        return unknown(
            measured=measured,
            target=target,
            reason="no key answered through a signer whose log was read",
        )
    if lost:
        return failed(
            measured=measured, target=target, reason=f"the log lacks {lost[0]}", details=lost
        )
    return passed(measured=measured, target=target, reason="asked before it was signed, kept after")


CHECKS = (complete, matrix, one_signer, buckets_apart, keys_answer, logged, fault_role, door)
