"""Judges the segregation drill: findings from the trials and proofs; pure.

The matrix is compared with the policy's, and two claims are read off what was found alone, so that
a mistake in the declaration, from which stack and expectation both follow, does not hide itself:
one signer per key and region, and no principal with power over two buckets. What an Allow through
the fault role's door adds is compared with what was found without it.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from seawall.drill.segregation.door import Stray
from seawall.drill.segregation.trials import Found, Proof, Trial
from seawall.keys.access import Cell
from seawall.scorecard.outcome import Finding, failed, passed, unknown

_SIGN = "kms:Sign"


def judge(
    *,
    cells: Sequence[Cell],
    trials: Sequence[Trial],
    keys: Iterable[tuple[str, str]],
    proofs: Sequence[Proof],
    cold: Sequence[str],
    beside: Sequence[Stray],
    behind: Sequence[Trial] | None,
) -> dict[str, Finding]:
    """The findings by check.

    ``cells`` had to be tried; ``keys`` are (name, region) that had to answer; ``cold`` has no key
    here. ``beside`` is what the fault role tried beside its door; ``behind`` are the signers' cells
    once more, while it let them do everything; None where money is at stake.
    """
    return {
        "segregation.complete": _complete(cells, trials),
        "segregation.matrix": _matrix(trials),
        "segregation.one_signer": _one_signer(trials),
        "segregation.buckets_apart": _buckets_apart(trials),
        "control.keys": _control(list(keys), proofs, cold),
        "control.logged": _logged(proofs),
        "segregation.fault_role": _fault_role(beside),
        **({} if behind is None else {"segregation.door": _door(cells, trials, behind)}),
    }


def _complete(cells: Sequence[Cell], trials: Sequence[Trial]) -> Finding:
    target = f"{len(cells):,} cells tried, each with a clear answer"
    tried = {_place(trial.cell) for trial in trials}
    missing = [cell for cell in cells if _place(cell) not in tried]
    unclear = [trial for trial in trials if trial.found is Found.UNCLEAR]
    measured = f"{len(tried):,} tried, {len(unclear):,} unclear"
    if not cells:
        return unknown(target=target, reason="the policy declares no principals or keys")
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


def _matrix(trials: Sequence[Trial]) -> Finding:
    target = "every cell as the policy says"
    clear = [trial for trial in trials if trial.found is not Found.UNCLEAR]
    wrong = [trial for trial in clear if not trial.as_expected]
    measured = f"{len(wrong):,} of {len(clear):,} cells differ"
    if not any(trial.cell.allowed for trial in clear):
        return unknown(
            measured=measured, target=target, reason="nothing that should be allowed was tried"
        )
    if wrong:
        return failed(
            measured=measured,
            target=target,
            reason=wrong[0].sentence(),
            details=[trial.sentence() for trial in wrong],
        )
    allowed = sum(trial.cell.allowed for trial in clear)
    return passed(
        measured=measured,
        target=target,
        reason=f"{allowed:,} allowed and {len(clear) - allowed:,} denied as declared",
    )


def _one_signer(trials: Sequence[Trial]) -> Finding:
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


def _buckets_apart(trials: Sequence[Trial]) -> Finding:
    """The deployer provisions for every bucket, which is why it may neither sign nor make grants.

    The matrix holds that.
    """
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


def _fault_role(beside: Sequence[Stray]) -> Finding:
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


def _door(cells: Sequence[Cell], trials: Sequence[Trial], behind: Sequence[Trial]) -> Finding:
    """More than the policy says and than was found without the Allow, so nothing is said twice."""
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


def _control(
    keys: Sequence[tuple[str, str]], proofs: Sequence[Proof], cold: Sequence[str]
) -> Finding:
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


def _logged(proofs: Sequence[Proof]) -> Finding:
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
