"""Old files of the stream go when the newest backups do not need them, and no others."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from seawall.errors import ServiceError
from venue.backups.bucket import LAST, BackupBucket, BackupName
from venue.backups.prune import prune

SEGMENT = 1 << 20


@dataclass
class Bucket:
    """Backups as (timeline, stamp, first byte of the log that it needs, last one)."""

    backups: Sequence[tuple[int, str, int, int]] = field(default_factory=tuple)

    def whole(self) -> list[BackupName]:
        """All of them."""
        return [BackupName(timeline=each[0], stamp=each[1]) for each in self.backups]

    def get(self, name: BackupName, file: str, into: Path) -> None:
        """Its manifest."""
        assert file == LAST
        [(timeline, _, start, end)] = [each for each in self.backups if each[1] == name.stamp]
        found: dict[str, Any] = {
            "WAL-Ranges": [{"Timeline": timeline, "Start-LSN": _lsn(start), "End-LSN": _lsn(end)}]
        }
        into.write_text(json.dumps(found))


def _lsn(position: int) -> str:
    return f"{position >> 32:X}/{position & 0xFFFFFFFF:X}"


def received(log: Path, timeline: int, numbers: range) -> None:
    """Files of the stream; the last one is being written."""
    folder = log / f"{timeline:08X}"
    folder.mkdir(parents=True)
    for number in numbers:
        high, low = divmod(number, (1 << 32) // SEGMENT)
        name = f"{timeline:08X}{high:08X}{low:08X}" + (".partial" if number == numbers[-1] else "")
        with (folder / name).open("wb") as file:
            file.truncate(SEGMENT)


def pruned(log: Path, bucket: Bucket, **options: Any) -> list[str]:
    found = prune(log, bucket=cast("BackupBucket", bucket), scratch=log.parent, **options)
    return [path.name for path in found]


def at(segment: int, offset: int = 100) -> int:
    return segment * SEGMENT + offset


TWO = Bucket(((1, "A", at(3), at(4)), (1, "B", at(6), at(7)), (1, "C", at(9), at(10))))


def test_the_newest_two_backups_keep_all_that_they_need(tmp_path: Path) -> None:
    log = tmp_path / "wal"
    received(log, 1, range(1, 13))
    wanted = [f"{1:08X}{0:08X}{number:08X}" for number in range(1, 6)]

    assert pruned(log, TWO, dry_run=True) == wanted
    assert len([*log.rglob("*.partial")]) == 1
    assert len([path for path in log.rglob("*") if path.is_file()]) == 12
    assert pruned(log, TWO) == wanted
    left = sorted(path.name for path in (log / "00000001").iterdir())
    assert left[0] == f"{1:08X}{0:08X}{6:08X}"
    assert len(left) == 7
    assert pruned(log, TWO) == []
    assert len(pruned(log, TWO, backups=1)) == 3


def test_an_earlier_timeline_goes_as_a_whole_once_no_kept_backup_is_of_it(tmp_path: Path) -> None:
    log = tmp_path / "wal"
    received(log, 1, range(1, 5))
    received(log, 2, range(5, 9))
    one_of_each = Bucket(((1, "A", at(1), at(2)), (2, "B", at(5), at(6))))
    assert pruned(log, one_of_each) == []
    both = Bucket((*one_of_each.backups, (2, "C", at(6), at(7))))
    assert len(pruned(log, both)) == 4
    assert not (log / "00000001").exists()


def test_with_fewer_backups_than_are_kept_nothing_is_removed(tmp_path: Path) -> None:
    log = tmp_path / "wal"
    received(log, 1, range(1, 13))
    for bucket in (Bucket(), Bucket(TWO.backups[:1])):
        assert pruned(log, bucket) == []


@pytest.mark.parametrize(
    ("backups", "missing"),
    [
        ((TWO.backups[1], (1, "F", at(90), at(91))), None),
        ((TWO.backups[1], (2, "F", at(9), at(10))), None),
        (TWO.backups, 8),
    ],
    ids=["a backup beyond the log", "a backup of a timeline without one", "a gap"],
)
def test_a_log_that_is_not_whole_from_each_kept_backup_on_is_left_alone(
    tmp_path: Path, backups: Sequence[tuple[int, str, int, int]], missing: int | None
) -> None:
    """Whoever can add to the bucket could else have the log removed by a backup that is none."""
    log = tmp_path / "wal"
    received(log, 1, range(1, 13))
    if missing is not None:
        (log / "00000001" / f"{1:08X}{0:08X}{missing:08X}").unlink()
    before = sorted(log.rglob("*"))
    with pytest.raises(ServiceError, match="nothing is removed"):
        pruned(log, Bucket(backups))
    assert sorted(log.rglob("*")) == before
