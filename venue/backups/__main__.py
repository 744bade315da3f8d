"""``python -m venue.backups role|stream|base|prune ...``: copies of the ledger's database.

    role   --url-file FILE
    stream --config FILE --programs DIR --into DIR
    base   --programs DIR --bucket NAME --region NAME [--endpoint URL] --scratch DIR
    prune  --log DIR --bucket NAME --region NAME [--endpoint URL] [--backups N] [--dry-run]

``role`` creates the role that copies, as the owner. ``stream`` receives the log until SIGTERM, has
commits wait for it, and serves metrics. ``base`` takes one base backup. ``prune`` removes the files
of the log that none of the newest backups needs; it asks the bucket and no database.

The database URL comes from the environment, as for every process of the venue.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from seawall.conventions.components import WAL_STREAM_PROCESS
from seawall.errors import UsageError
from seawall.formats.venue_config import database_url, load_config, refuse_sabotage
from venue.backups.base import take_backup
from venue.backups.bucket import BackupBucket
from venue.backups.prune import KEPT, prune
from venue.backups.role import create_role
from venue.backups.stream import stream
from venue.database import connect
from venue.process import run, say_ready, serve_metrics


async def _role(options: argparse.Namespace, _stop: asyncio.Event) -> None:
    try:
        if options.url_file.stat().st_mode & 0o077:
            raise UsageError(
                f"{options.url_file} holds a password and others may read it",
                remedy=f"chmod 600 {options.url_file}",
            )
        url = options.url_file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UsageError(f"cannot read {options.url_file}: {error.strerror}") from error
    connection = await connect(database_url(), name="backups", bounded=False)
    try:
        await create_role(connection, url)
    finally:
        await connection.close()


async def _stream(options: argparse.Namespace, stop: asyncio.Event) -> None:
    config = load_config(options.config)
    refuse_sabotage(config)
    serve_metrics(config.metrics_ports[WAL_STREAM_PROCESS])
    await stream(
        database_url(), programs=options.programs, into=options.into, stop=stop, ready=say_ready
    )


async def _base(options: argparse.Namespace, _stop: asyncio.Event) -> None:
    bucket = BackupBucket.open(options.bucket, region=options.region, endpoint=options.endpoint)
    name = await take_backup(
        database_url(), programs=options.programs, bucket=bucket, scratch=options.scratch
    )
    sys.stdout.write(f"s3://{options.bucket}/{name.folder}\n")


async def _prune(options: argparse.Namespace, _stop: asyncio.Event) -> None:
    bucket = BackupBucket.open(options.bucket, region=options.region, endpoint=options.endpoint)
    with tempfile.TemporaryDirectory() as scratch:
        removed = await asyncio.to_thread(
            prune,
            options.log,
            bucket=bucket,
            backups=options.backups,
            scratch=Path(scratch),
            dry_run=options.dry_run,
        )
    verb = "would be removed" if options.dry_run else "removed"
    sys.stdout.write(f"{len(removed)} files of the log {verb}\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Copies of the ledger's database.")
    commands = parser.add_subparsers(required=True)
    role = commands.add_parser("role", help="create the role that copies")
    role.add_argument("--url-file", type=Path, required=True, help="its database URL, mode 0600")
    role.set_defaults(work=_role)
    streams = commands.add_parser("stream", help="receive the write-ahead log")
    streams.add_argument("--config", type=Path, required=True, help="the venue's configuration")
    streams.add_argument("--into", type=Path, required=True, help="folder for the log")
    streams.set_defaults(work=_stream)
    base = commands.add_parser("base", help="take a base backup")
    base.add_argument("--scratch", type=Path, required=True, help="folder with room for a backup")
    base.set_defaults(work=_base)
    pruning = commands.add_parser("prune", help="remove files of the log that no backup needs")
    pruning.add_argument("--log", type=Path, required=True, help="folder of the stream")
    pruning.add_argument(
        "--backups", type=_count, default=KEPT, help="so many of the newest keep their log"
    )
    pruning.add_argument("--dry-run", action="store_true", help="remove nothing")
    pruning.set_defaults(work=_prune)
    for each in (base, pruning):
        each.add_argument("--bucket", required=True)
        each.add_argument("--region", required=True)
        each.add_argument("--endpoint", help="where S3 is, if not at AWS")
    for each in (streams, base):
        each.add_argument("--programs", type=Path, required=True, help="PostgreSQL's programs")
    return parser.parse_args()


def _count(text: str) -> int:
    if (count := int(text)) < 1:
        raise ValueError(text)
    return count


if __name__ == "__main__":
    arguments = _arguments()
    run(lambda stop: arguments.work(arguments, stop))
