"""A clock that never steps, made of one that may be set: windows and ages are measured by it.

What a database stamps onto its rows is wall-clock time. When that clock is set forward, every row
looks old at once and every window is empty; when it is set back, rows from before lie in the future
and leave no window for as long. So a process reads the other clock again and again, beside its own
monotonic one: a change that the monotonic clock does not confirm is a step, and is remembered.

A process that starts knows of no earlier step, and believes the clock as it finds it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

STEP_US_MIN = 100_000
"""A smaller difference is no step but drift: clocks are slewed, and run at different rates."""
_STEPS_MAX = 32
"""Steps that are remembered; what is stamped before the oldest counts as stamped at it."""
_EVER_US = -(2**62)


@dataclass(slots=True)
class _Span:
    """From ``begins_us`` to ``ends_us`` of steady time the clock showed ``ahead_us`` more.

    Between two readings a step may have been at any moment, so neighbours overlap there.
    """

    begins_us: int
    ends_us: int
    ahead_us: int

    def nearest(self, shown_us: int) -> int:
        """The steady time in this span that is nearest to what ``shown_us`` would be in it."""
        return min(max(shown_us - self.ahead_us, self.begins_us), self.ends_us)

    def distance(self, shown_us: int) -> int:
        """How far outside this span ``shown_us`` would be; 0 inside."""
        return abs(shown_us - self.ahead_us - self.nearest(shown_us))


class SteadyClock:
    """Steady times of what another clock shows, in microseconds of this process's monotonic one."""

    def __init__(self) -> None:
        self._spans: deque[_Span] = deque(maxlen=_STEPS_MAX + 1)

    @property
    def was_read(self) -> bool:
        """Whether there was a reading: without one nothing can be told."""
        return bool(self._spans)

    def read(self, *, shown_us: int, asked_us: int, answered_us: int) -> int:
        """Take a reading in; returns its steady time.

        Args:
            shown_us: What the other clock showed, in Unix microseconds.
            asked_us: The monotonic time before it was asked.
            answered_us: The monotonic time after its answer was here.
        """
        least, most = shown_us - answered_us, shown_us - asked_us
        if not self._spans:
            self._spans.append(
                _Span(begins_us=_EVER_US, ends_us=answered_us, ahead_us=(least + most) // 2)
            )
        last = self._spans[-1]
        ahead_us = min(max(last.ahead_us, least), most)
        if abs(ahead_us - last.ahead_us) >= STEP_US_MIN:
            before_us = last.ends_us
            last.ends_us = answered_us
            last = _Span(begins_us=before_us, ends_us=answered_us, ahead_us=ahead_us)
            self._spans.append(last)
        last.ahead_us = ahead_us
        last.ends_us = max(last.ends_us, shown_us - ahead_us)
        return shown_us - ahead_us

    def of(self, shown_us: int) -> int:
        """The steady time at which the clock showed ``shown_us``.

        Of several, the latest: after a step back some times were shown twice, and what is taken for
        too young stays in a window a little longer. A time that was never shown counts as the
        nearest that was, so nothing lies in the future.
        """
        span = min(self._spans, key=lambda each: (each.distance(shown_us), -each.nearest(shown_us)))
        return span.nearest(shown_us)

    def earliest_shown(self, since_us: int) -> int:
        """The smallest time that the clock may have shown since ``since_us`` of steady time.

        What is stamped later than this may be younger than that, and nothing else is.
        """
        return min(
            max(since_us, span.begins_us) + span.ahead_us
            for span in self._spans
            if span.ends_us >= since_us or span is self._spans[-1]
        )
