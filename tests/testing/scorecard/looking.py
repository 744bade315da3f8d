"""What the customers of a synthetic run looked at: the plan of the reads, and the flood's log."""

from __future__ import annotations

from bisect import bisect_right

from seawall.conventions.reads import ANSWERED, READS
from tests.testing.scorecard.story import CALM_S, RUN_ENDS, Story, at

READS_PER_S = 10
"""Of each operation."""
TOOK_S = 0.02


def look(story: Story) -> None:
    """Plan and log the reads: each a second or so after the request that it belongs to."""
    firsts = [row for row in story.table("arrivals") if row["attempt"] == 1]
    offsets = [float(row["offset_s"]) for row in firsts]
    moments = [
        (number / READS_PER_S + shift / 50, operation)
        for number in range(READS_PER_S, RUN_ENDS * READS_PER_S)
        for shift, operation in enumerate(READS)
    ]
    for index, (moment, operation) in enumerate(moments):
        first = firsts[max(0, bisect_right(offsets, moment - 1) - 1)]
        story.table("planned_reads").append(
            {
                "index": index,
                "offset_s": f"{moment:.6f}",
                "phase": "calm" if moment < CALM_S else "run",
                "operation": operation,
                "request": first["index"],
                "customer_id": first["customer_id"],
                "names": "",
            }
        )
        story.table("reads").append(
            {
                "index": index,
                "operation": operation,
                "planned_at": at(moment),
                "sent_at": at(moment + 0.001),
                "done_at": at(moment + TOOK_S),
                "latency_ms": f"{TOOK_S * 1000:.3f}",
                "status": 200,
                "outcome": ANSWERED,
                "error": "",
                "worker": first["index"] % 2,
            }
        )
