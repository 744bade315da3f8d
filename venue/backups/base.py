"""Base backups: a copy of the whole database, to which the log is applied when it is restored."""

from __future__ import annotations

import asyncio
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from venue.backups.bucket import LAST, BackupBucket, BackupName
from venue.backups.programs import libpq_environment, program, run_program
from venue.backups.stream import NAME, SLOT
from venue.database import connect
from venue.restore.manifest import timeline_of


async def take_backup(
    url: str, *, programs: Path, bucket: BackupBucket, scratch: Path
) -> BackupName:
    """Back up the server at ``url`` into ``bucket``; the name of the backup.

    It holds the log that it needs, so it can be restored by itself; from before it on, the server
    keeps its log until the stream has it. Every file is listed with its SHA-256, which a restore
    verifies.

    Args:
        url: As :data:`~venue.backups.role.ROLE`.
        programs: Folder of PostgreSQL's programs.
        bucket: Where it is kept.
        scratch: Folder with room for the compressed database.

    Raises :class:`ServiceError`.
    """
    began = datetime.now(UTC)
    connection = await connect(url, name="base-backup", bounded=False)
    try:
        await connection.execute(SLOT, NAME)
    finally:
        await connection.close()
    with tempfile.TemporaryDirectory(dir=scratch, prefix="base-") as made:
        files = Path(made)
        await run_program(
            (
                program(programs, "pg_basebackup"),
                f"--pgdata={files}",
                "--format=tar",
                "--compress=client-gzip:1",
                "--wal-method=fetch",
                "--checkpoint=fast",
                "--manifest-checksums=SHA256",
                "--no-password",
            ),
            what_fails="the database cannot be backed up",
            env=libpq_environment(url),
        )
        name = BackupName(
            timeline=timeline_of(files / LAST), stamp=began.strftime("%Y%m%dT%H%M%SZ")
        )
        await asyncio.to_thread(bucket.put, name, files)
    return name
