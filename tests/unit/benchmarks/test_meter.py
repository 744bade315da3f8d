"""The meter of benchmarks: memory and processor time of processes with their children."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from benchmarks.meter import Meter, speed

MEMORY = 64 * 2**20
HOLDS_MEMORY_AND_WORKS = (
    f"import time\nheld = bytearray({MEMORY})\n"
    "while time.process_time() < 0.3: pass\n"
    "print('worked', flush=True)\ninput()"
)


def test_a_childs_memory_and_work_are_the_part_that_started_it() -> None:
    code = (
        "import subprocess, sys; subprocess.run([sys.executable, '-c', "
        f"{HOLDS_MEMORY_AND_WORKS!r}])"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        with Meter(roots={"engine": process.pid}) as meter:
            assert process.stdout is not None
            assert process.stdout.readline() == "worked\n"
            meter._sample()
        process.communicate("\n")
    assert meter.parts["engine"].peak_bytes > MEMORY
    assert meter.parts["engine"].cpu_s > 0.25  # the system counts in hundredths
    assert meter.total.cpu_s == pytest.approx(meter.parts["engine"].cpu_s)


def test_what_a_process_had_done_before_does_not_count() -> None:
    while os.times().user < 0.5:
        pass
    with Meter(roots={"AWS": os.getpid()}) as meter:
        pass
    assert meter.parts["AWS"].cpu_s < 0.5


def test_a_process_that_is_gone_is_no_error_and_no_part() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    with Meter(roots={"engine": process.pid}) as meter:
        pass
    assert meter.parts == {}


def test_the_machines_speed_is_work_that_takes_time() -> None:
    seen = speed()
    assert seen.cpu_s > 0
    assert seen.crowding > 0.5
