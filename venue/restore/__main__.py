"""``python -m venue.restore cluster|catch-up ...``: restore a ledger that was lost.

    cluster  --files DIR --bucket NAME --region NAME [--endpoint URL]
             (--log DIR | --without-log) --scratch DIR
    catch-up --config FILE --reason WHY [--acknowledged FILE] [--accept-losses WHO_AND_WHY]

``cluster`` makes a database cluster of the newest backup and the stream of the log. Start a server
on it at an address that the venue does not use, then let ``catch-up`` bring it to what the chains
say, as its owner; its URL comes from the environment, as does that of the sign log, which is read
alone. The order of all is in the runbook recovery-steps.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import AsyncExitStack
from pathlib import Path

from seawall.errors import UsageError
from seawall.formats.venue_config import database_url, load_config, sign_log_url
from venue.backups.bucket import BackupBucket
from venue.database import connect
from venue.process import run
from venue.restore.acknowledged import read_acknowledged
from venue.restore.catch_up import catch_up
from venue.restore.cluster import make_cluster


async def _cluster(options: argparse.Namespace) -> None:
    backup = await make_cluster(
        options.files,
        bucket=BackupBucket.open(options.bucket, region=options.region, endpoint=options.endpoint),
        log=options.log,
        scratch=options.scratch,
    )
    sys.stdout.write(f"{options.files} is the backup of {backup.stamp}; start a server on it\n")


async def _catch_up(options: argparse.Namespace) -> None:
    for name in ("reason", "accept_losses"):
        if getattr(options, name) is not None and not getattr(options, name).strip():
            raise UsageError(f"--{name.replace('_', '-')} says nothing")
    config = load_config(options.config)
    url, log_url = database_url(), sign_log_url()
    async with AsyncExitStack() as stack:
        connections = []
        for each in (url, log_url):
            connections.append(await connect(each, name="restore", bounded=False))
            stack.push_async_callback(connections[-1].close)
        connection, sign_log = connections
        done = await catch_up(
            connection,
            sign_log,
            config=config,
            policy=config.load_policy(),
            reason=options.reason,
            accepted=options.accept_losses,
            acknowledged=()
            if options.acknowledged is None
            else read_acknowledged(options.acknowledged),
        )
    for loss in (*done.losses, *done.forgotten):
        sys.stdout.write(f"lost: {loss}\n")
    sys.stdout.write(
        f"generation {done.generation} begins; written from the chains: {done.slots} slots,"
        f" {done.withdrawals} withdrawals, {done.topups} top-ups; lost:"
        f" {len(done.losses) + len(done.forgotten)}\n"
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Restore a ledger that was lost.")
    commands = parser.add_subparsers(required=True)
    cluster = commands.add_parser("cluster", help="make a cluster of a backup and the log")
    cluster.add_argument("--files", type=Path, required=True, help="empty folder for the cluster")
    cluster.add_argument("--bucket", required=True, help="where the base backups are")
    cluster.add_argument("--region", required=True)
    cluster.add_argument("--endpoint", help="where S3 is, if not at AWS")
    log = cluster.add_mutually_exclusive_group(required=True)
    log.add_argument("--log", type=Path, help="folder of the stream of the log")
    log.add_argument("--without-log", action="store_true", help="the stream is lost as well")
    cluster.add_argument("--scratch", type=Path, required=True, help="folder with room for it")
    cluster.set_defaults(work=_cluster)
    catching = commands.add_parser("catch-up", help="bring the ledger to what the chains say")
    catching.add_argument("--config", type=Path, required=True, help="the venue's configuration")
    catching.add_argument("--reason", required=True, help="why it was restored; recorded")
    catching.add_argument("--accept-losses", help="who accepts what is lost, and why")
    catching.add_argument(
        "--acknowledged", type=Path, help="a log of what customers were told: kind,id"
    )
    catching.set_defaults(work=_catch_up)
    return parser.parse_args()


if __name__ == "__main__":
    arguments = _arguments()
    run(lambda _stop: arguments.work(arguments))
