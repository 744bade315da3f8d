"""What evidence a deployment offers, and where each kind comes from.

A kind comes from the venue's own records (an adapter reads them), from the networks and Prometheus
that the deployment file names, from CloudTrail, or from a file or a command that the user names
under ``evidence``.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Collection, Mapping
from pathlib import Path

from seawall.conventions.evidence import EVERY_PORT, Port
from seawall.errors import EvidenceError, UsageError
from seawall.evidence.chain import NATIVE, UNSEEN_COLUMNS, ChainSource, Reach, head_of, sent_by
from seawall.formats.atomic import write_whole
from seawall.formats.deployment import Deployment, Source
from seawall.formats.venue_records import VenueRecords, connect
from seawall.policy import Policy
from seawall.scorecard.run import FILES, PORTS

STARTED_VARIABLE, ENDED_VARIABLE = "SEAWALL_STARTED_AT", "SEAWALL_ENDED_AT"
BLOCKS_HEADER = "network,number,timestamp,observed_at\n"
_OF_NODES = {"blocks": BLOCKS_HEADER, "unseen": ",".join(UNSEEN_COLUMNS) + "\n"}
"""Files of payouts that only a node can fill, by name: the head of an empty one."""
_TAIL = 400
_FINAL_WITHIN = 2
"""How often the time that finality should take is waited for."""


def offers_of(deployment: Deployment, policy: Policy) -> tuple[Port, ...]:
    """The kinds of evidence that ``deployment`` offers, in their usual order.

    Statements are those of every rail over which ``policy`` pays: of some rails, they would hide
    what was paid over the others.

    Raises :class:`UsageError` for one that comes from two places, or from none that could hold it.
    """
    records = records_of(deployment)
    found: dict[Port, str] = {} if records is None else dict.fromkeys(records.offers, "the records")
    networks = deployment.networks.values()
    chains = [network for network in networks if network.payouts or network.transfers]
    if chains:
        found["payouts"] = "the networks"
    if chains and all(network.payouts for network in chains):
        found |= dict.fromkeys(("numbered_payouts", "balances"), "the networks")
    if any(network.payouts for network in chains):
        found["key_counts"] = "the networks"
    if deployment.rails and policy.paying_rails().keys() <= deployment.rails.keys():
        found["statements"] = "the providers of rails"
    if deployment.urls.prometheus is not None:
        found["metrics"] = "Prometheus"
    if deployment.pages is not None:
        found["pages"] = "the pager"
    if deployment.aws_log is not None:
        found["aws_log"] = "CloudTrail"
    for port, source in deployment.evidence.items():
        _require_sole(deployment, port, source, found)
        found[port] = "evidence"
    return tuple(port for port in EVERY_PORT if port in found)


def _require_sole(
    deployment: Deployment, port: Port, source: Source, found: Mapping[Port, str]
) -> None:
    """Raise :class:`UsageError` unless ``port`` comes from ``source`` alone, which can hold it."""
    if port in found:
        raise UsageError(
            f"{deployment.path}: evidence.{port} comes from {found[port]} already",
            remedy="name one source of each kind",
        )
    if port == "numbered_payouts":
        raise UsageError(
            f"{deployment.path}: evidence.{port} has no file of its own",
            remedy="give `payouts` a column `seq`, and networks their payout contracts",
        )
    if source.until is not None and port != "payouts":
        raise UsageError(
            f"{deployment.path}: evidence.{port}.until says nothing, because only a statement"
            " of payments has an end",
            remedy=f"leave it out of evidence.{port}",
        )
    if source.command is not None and len(_files(port)) > 1:
        raise UsageError(
            f"{deployment.path}: evidence.{port} is {len(_files(port))} files, and a command"
            " prints one",
            remedy=f"name a folder with {', '.join(_files(port))}",
        )


def records_of(deployment: Deployment) -> VenueRecords | None:
    """The venue's own records; None if the deployment names no adapter for them."""
    return None if deployment.venue.records is None else connect(deployment)


def chains_of(deployment: Deployment) -> tuple[str, ...]:
    """Names of the networks on which payouts are seen."""
    return tuple(
        name
        for name, network in deployment.networks.items()
        if network.payouts is not None or network.transfers is not None
    )


def counted_of(deployment: Deployment) -> tuple[str, ...]:
    """Names of the networks on which the transactions of signing keys are counted.

    Where payouts are transfers, the file says from which address, and not of which wallet that is.
    A file or a command of the user's must count on every network.
    """
    return tuple(
        name
        for name, network in deployment.networks.items()
        if network.payouts is not None or "key_counts" in deployment.evidence
    )


def before_of(deployment: Deployment) -> Reach:
    """How far the networks of ``deployment`` have come, before a drill.

    What was paid until then is no concern of the drill, and of what keys send from then on the
    venue must know all.

    Raises :class:`EvidenceError` for a node that is not to be had, or that is one of another chain
    than the deployment file says.
    """
    heads, sent = {}, {}
    for name, network in deployment.networks.items():
        if network.payouts is not None:
            signers = network.payouts.signers
            source = ChainSource(network=name, node_url=network.node, assets={}, lanes=signers)
            sent[name] = sent_by(source, chain_id=network.chain_id)
        elif network.transfers is not None:
            heads[name] = head_of(name, network.node, chain_id=network.chain_id)
    return Reach(heads=heads, sent=sent)


def chain_sources(
    deployment: Deployment,
    policy: Policy,
    before: Reach,
    *,
    earlier: Mapping[str, Mapping[str, int]] | None = None,
    destinations: Collection[str] = (),
) -> list[ChainSource]:
    """Each network as an auditor reads it: from a node of its own, past every fault.

    ``earlier`` is what keys had sent after the drill before this one, as far as there was one.
    ``destinations`` are where the drill's requests are to be paid, in lower case. What a venue of
    the user's has just called paid is waited for until it is final; a sandbox's says so only then.
    """
    sources = []
    for name, network in deployment.networks.items():
        if network.payouts is None and network.transfers is None:
            continue
        if name not in policy.networks:
            raise UsageError(
                f"{deployment.path} names the network {name!r}, and {deployment.policy} does not",
                remedy="write it as the policy does, or leave it out",
            )
        native = policy.networks[name].native
        final_within_s = finality_s_max(policy, name)
        if network.payouts is not None:
            sources.append(
                ChainSource(
                    network=name,
                    node_url=network.node,
                    payout_contracts=network.payouts.contracts,
                    wallets=network.payouts.wallets,
                    assets={native: NATIVE, **network.payouts.tokens},
                    lanes=network.payouts.signers,
                    sent_before=before.sent.get(name, {}),
                    sent_earlier=(earlier or {}).get(name, {}),
                    carrier=network.payouts.carrier,
                    destinations=destinations,
                    final_within_s=0.0 if deployment.kind == "sandbox" else final_within_s,
                )
            )
        elif network.transfers is not None:
            sources.append(
                ChainSource(
                    network=name,
                    node_url=network.node,
                    senders=network.transfers.senders,
                    assets={native: NATIVE, **network.transfers.tokens},
                    first_block=max(network.transfers.first_block, before.heads.get(name, 0)),
                    own=network.transfers.own,
                    destinations=destinations,
                    final_within_s=final_within_s,
                )
            )
    return sources


def finality_s_max(policy: Policy, network: str) -> float:
    """How many seconds are waited until the newest block of now is final on ``network``."""
    declared = policy.networks[network]
    return _FINAL_WITHIN * (declared.finality_depth_blocks + 3) * declared.block_time / 1000


def read_source(
    port: Port,
    source: Source,
    *,
    folder: Path,
    into: Path,
    started_at: float,
    ended_at: float,
    of_drill: bool = True,
) -> None:
    """Copy or print the files of one kind of evidence into the run directory ``into``.

    Args:
        port: The kind.
        source: Where it comes from.
        folder: Of the deployment file that the user wrote; a command runs there.
        into: The run directory.
        started_at: Beginning of the drill in Unix seconds, for a command.
        ended_at: Its end; what a file says reaches as far only if it was written later, or if the
            deployment file says that it does (``until``).
        of_drill: Whether all of the drill must be in it; else a file is as old as it is.

    Raises :class:`EvidenceError` if it cannot be read.
    """
    names = _files(port)
    if source.file is not None:
        for name in names:
            wanted = source_file(source, name)
            (into / name).parent.mkdir(parents=True, exist_ok=True)
            try:
                if of_drill:
                    _require_whole(source, wanted, ended_at=ended_at)
                shutil.copyfile(wanted, into / name)
            except OSError as error:
                raise EvidenceError(f"{wanted} cannot be read: {error.strerror}") from error
    else:
        text = _printed(source, folder=folder, started_at=started_at, ended_at=ended_at)
        (into / names[0]).parent.mkdir(parents=True, exist_ok=True)
        write_whole(into / names[0], text)
    for name, header in _OF_NODES.items() if port == "payouts" else ():
        if not (into / FILES[name]).exists():
            write_whole(into / FILES[name], header)


def _require_whole(source: Source, wanted: Path, *, ended_at: float) -> None:
    """Raise :class:`EvidenceError` for a file that may lack what came at the end of a drill."""
    if source.until is not None:
        if source.until.timestamp() >= ended_at:
            return
        raise EvidenceError(
            f"{wanted} goes up to {source.until.isoformat()} by `until`, and the drill ended later",
            remedy="leave out `until`, or name the end of a newer statement",
        )
    if wanted.stat().st_mtime < ended_at:
        raise EvidenceError(
            f"{wanted} was last written before the drill ended, so it does not say all of it",
            remedy="let it be written again after a drill, within its `settles_s`, or name a"
            " command that prints it",
        )


def source_file(source: Source, name: str) -> Path:
    """The file of ``source`` that becomes ``name`` in a run directory; it names no command."""
    assert source.file is not None
    return source.file / Path(name).name if source.file.is_dir() else source.file


def _printed(source: Source, *, folder: Path, started_at: float, ended_at: float) -> str:
    command = source.command or ()
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env={
                **os.environ,
                STARTED_VARIABLE: f"{started_at:.6f}",
                ENDED_VARIABLE: f"{ended_at:.6f}",
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=source.timeout_s,
            check=False,
        )
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError) as error:
        raise EvidenceError(f"`{' '.join(command)}` could not be run: {error}") from error
    if done.returncode != 0:
        raise EvidenceError(
            f"`{' '.join(command)}` ended with {done.returncode}: {done.stderr.strip()[-_TAIL:]}"
        )
    return done.stdout


def _files(port: Port) -> tuple[str, ...]:
    """The files of a port, by their names in a run directory, without those of nodes."""
    return tuple(FILES[name] for name in PORTS[port] if name not in _OF_NODES)
