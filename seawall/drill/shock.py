"""The shock of a drill: flood, experiment and observers, run side by side.

It ends when the venue has healed, or when the bound on its recovery has passed.
"""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx

from seawall.controls.modes import drained_age_ms, settling_ms
from seawall.drill.display import Display
from seawall.drill.flood import Flood
from seawall.drill.progress import JsonLines, TimelineEvents, last_event
from seawall.drill.stack import Stack, environment_of_run, module
from seawall.drill.stop_conditions import stop_conditions
from seawall.errors import ComponentDiedError, DrillError, EvidenceError, NotBegunError
from seawall.evidence.chain import Reach
from seawall.evidence.ports import before_of
from seawall.formats import timeline
from seawall.formats.component_status import ComponentStatus
from seawall.formats.deployment import Deployment
from seawall.formats.drill_contract import VenueClient
from seawall.formats.drill_contract.loading import load_adapter
from seawall.formats.venue_records import VenueRecords, VenueState
from seawall.kill_switch import KillSwitch, KillSwitchWatch, kill_switches
from seawall.policy import Drill, Policy
from seawall.processes.bounded_read import BoundedRead
from seawall.processes.components import Component
from seawall.processes.failures import tail
from seawall.processes.groups import end_groups, signal_group
from seawall.processes.machine import MachineLoad, MachineWatch
from seawall.scorecard.journal import ENDED_AS, problems_of_journal

_WATCH_EVERY_S = 0.25
_POLL_S = 0.05
_BEYOND_BOUND_S = 5.0
"""How long the recording goes on past a bound, so that it shows a miss and not only its own end."""
_BEYOND_RETURN_S = 0.5
"""Beyond the time in which a tier may still flip: the observers' sampling, and their clocks."""
_TAIL_TIMEOUT_S = 30.0
_FOLLOWED_EVERY_S = 5.0
_FOLLOW_S_MIN = 10.0
"""How long requests are followed at least, however late it is."""
_CHILDREN_GRACE_S = 1.5
_UNDO_S = 2.0
"""Beyond a lease's time to live: what its holder takes to undo a fault whose runner fell silent."""
PROBER = "prober"
_FOLLOW = "follow"
JOURNAL = "chaos-journal.json"
_FAULT_LINES = {
    "fault.effective": "{fault} of {target} is in force, as seen from outside",
    "fault.undoing": "{fault} of {target} is being undone",
    "fault.cleared": "{fault} of {target} is gone, as seen from outside",
}
"""Progress lines by event; each is shown once the event is in the timeline."""
_STATUS_S_MAX = 1.0
_STATE_S_MAX = 2.0
_EARLY_S = 1.0
"""Ending this much before its plan is early."""


@dataclass(kw_only=True)
class Shock:
    """One drill on a running deployment, written into ``run_dir`` and judged from there alone.

    Attributes:
        stack: What is drilled.
        records: The venue's own, if the deployment names an adapter for them.
        policy: Declares the drill.
        name: Of the drill.
        operations: What the venue can be asked.
        flood: Of the drill; it may have been prepared while the drill before was followed.
        faults: Folders with faults of the user's own, as `SEAWALL_FAULTS` has them.
        observed: Called once flood, experiment and prober have ended as planned; what is left
            measures no time.
        before: How far the networks had come before it; asked for when it is run, if not given.
    """

    stack: Stack
    records: VenueRecords | None
    policy: Policy
    name: str
    operations: Collection[str]
    flood: Flood
    root: Path
    run_dir: Path
    faults: str = ""
    display: Display
    clock: Callable[[], float] = time.time
    switch: KillSwitchWatch | None = None
    switches: Sequence[KillSwitch] = ()
    observed: Callable[[], object] = lambda: None
    before: Reach | None = None
    _offered_per_s: float = 0.0
    _flood_ends: float = 0.0
    _stayed_normal: bool = True
    _children: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _prober: Component | None = None
    _machine: MachineWatch = field(default_factory=MachineWatch)

    @property
    def drill(self) -> Drill:
        """What the policy declares."""
        return self.policy.drills[self.name]

    @property
    def deployment(self) -> Deployment:
        """The deployment that is drilled."""
        return self.stack.deployment

    def components(self) -> list[ComponentStatus]:
        """What became of every process that the evidence rests on."""
        prober = [self._prober.status()] if self._prober is not None else []
        return [*self.stack.components(), *prober]

    def machine(self) -> MachineLoad | None:
        """What the machine had to give during flood and experiment; None before them."""
        return self._machine.load()

    def event(self, name: str, **detail: Any) -> None:
        """Put one of the game day's own events on the timeline."""
        timeline.append(self.run_dir, source="gameday", event=name, at=self.clock(), detail=detail)

    def run(self) -> None:
        """Calm, run, fault, healing; then wait until all is final.

        Raises :class:`DrillError` or :class:`ServiceError`.

        However it ends, nothing that it started goes on afterwards. It does not begin, and it ends,
        when the kill switch says so.
        """
        switch = self._armed()
        try:
            try:
                self._apply()
            finally:
                self.flood.end()
                self._end_children(*(name for name in self._children if name != _FOLLOW))
                if self._prober is not None:
                    self._prober.stop()
            self.observed()
            self._await_quiet()
            self._follow()
        finally:
            self._end_children(*self._children)
            switch.stop()

    def _apply(self) -> None:
        """Everything that observers watch: from before the calm until the venue has recovered."""
        self._await_nodes()
        self._await_steady()
        self._observe()
        self.flood.prepare()
        self._await_flood()
        # That takes seconds, and the first withdrawals of the prober were paid meanwhile.
        self._await_steady(waited_for_the_rest=True)
        t_zero = self.flood.begin(self._look)
        self.display.phase(f"calm baseline for {self.drill.flood.calm / 1000:g} s")
        self.event("calm.started", planned_at=t_zero)
        chaos = self._start(
            "chaos",
            [
                *module("chaos.run"),
                *("--policy", str(self.deployment.policy), "--drill", self.name),
                *("--journal", str(self.run_dir / JOURNAL)),
                *("--start-at", f"{t_zero:.6f}"),
            ],
        )
        with self._machine:
            self._watch(chaos, t_zero)
        self._await_recovery()

    def _armed(self) -> KillSwitchWatch:
        """The watch of kill switch and stop conditions, reading from now on.

        Raises :class:`DrillError` unless the switch says armed everywhere, and no condition holds.
        """
        if self.switch is None:
            of_stack = kill_switches(self.deployment.kill_switch, environment={})
            conditions = stop_conditions(self.policy, self.deployment)
            self.switch = KillSwitchWatch(switches=[*self.switches, *of_stack, *conditions])
        self.switch.require_armed()
        return self.switch.start()

    def _obey(self) -> None:
        """End the drill if people say so, a stop condition holds, or the approved window is over.

        The experiment, which takes its fault back, and the flood at once, then all else. Raises
        :class:`DrillError`.
        """
        reason = (self.switch() if self.switch is not None else None) or self._window_over()
        if reason is None:
            return
        self.display.phase(f"stopped: {reason}")
        self.event("stopped", reason=reason)
        chaos = self._children.get("chaos")
        if chaos is not None and chaos.poll() is None:
            signal_group(chaos, signal.SIGTERM)
        self.flood.end()
        if self._prober is not None:
            self._prober.stop()
        if chaos is not None:
            with suppress(subprocess.TimeoutExpired):  # what it leaves behind its lease undoes
                chaos.wait(timeout=(self.drill.lease_ttl or 0) / 1_000 + _UNDO_S)
        raise DrillError(reason, remedy="nothing is proven; arm the switch before the next drill")

    def _window_over(self) -> str | None:
        approval = self.deployment.approval
        if self.deployment.kind != "production" or approval is None:
            return None
        return approval.refusal(datetime.fromtimestamp(self.clock()).astimezone())

    def _observe(self) -> None:
        """Start the black-box prober."""
        lanes = self.deployment.data_dir / "lanes.json"
        signers = {
            network: {name: site.payouts.signers[name] for name in site.payouts.contracts}
            for network, site in self.deployment.networks.items()
            if site.payouts is not None
        }
        lanes.write_text(json.dumps(signers), encoding="utf-8")
        self._prober = Component(
            name=PROBER,
            argv=[
                *module("seawall.evidence.prober"),
                *("--deployment", str(self.deployment.path), "--customers", self._customers()),
                *("--lanes", str(lanes), "--out", str(self.run_dir / "probes.jsonl")),
            ],
            env=self._environment(),
            log=self._log(PROBER),
            cwd=self.root,
            niceness=0,  # times are measured: an observer that waits for a processor measures that
        )

    def _start(
        self,
        name: str,
        argv: Sequence[str],
        *,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
    ) -> subprocess.Popen[bytes]:
        log = self._log(name).open("ab")
        with log:
            child = subprocess.Popen(
                argv,
                cwd=self.root,
                env=self._environment(),
                stdin=stdin,
                stdout=log if stdout is None else stdout,
                stderr=log,
                start_new_session=True,
            )
        self._children[name] = child
        return child

    def _environment(self) -> dict[str, str]:
        """Variables of a process that ends with the run."""
        return environment_of_run(self.deployment, self.faults)

    def _customers(self) -> str:
        if self.deployment.customers is None:
            raise DrillError(f"{self.deployment.path} names no customers to act as")
        return str(self.deployment.customers)

    def check(self) -> None:
        """Raise :class:`ComponentDiedError` if a process ended without being stopped."""
        self.stack.check()
        if self._prober is not None and self._prober.died:
            raise ComponentDiedError(PROBER, log_tail=self._prober.status().log_tail or "")

    def _await_flood(self) -> None:
        """Wait until the flood is planned and loaded, which is bounded; raises what stopped it."""
        while not self.flood.ready():
            self._look()
            time.sleep(_POLL_S)

    def _look(self) -> None:
        """Raise if a process has died or people stop the drill."""
        self.check()
        self._obey()

    def _watch(self, chaos: subprocess.Popen[bytes], t_zero: float) -> None:
        """Wait for the end of flood and experiment; bounded by the drill's length and a tail.

        Raises :class:`DrillError` as soon as one of them ends before its plan.
        """
        flood, progress = self.flood.process, self.flood.progress
        run_at = t_zero + self.drill.flood.calm / 1000
        end_at = run_at + self.drill.flood.length / 1000
        self._flood_ends = end_at
        last_at = max((run_at + fault.ends / 1000 for fault in self.drill.faults), default=end_at)
        facts = TimelineEvents(self.run_dir / timeline.TIMELINE)
        plan = [
            (run_at, "run.started", f"the run begins: {self.drill.flood.profile}"),
            (end_at, "run.ended", "the flood has ended"),
        ]
        deadline = end_at + _TAIL_TIMEOUT_S
        while flood.poll() is None or chaos.poll() is None:
            self._tick(progress)
            while plan and self.clock() >= plan[0][0]:
                self._announce(*plan.pop(0))
            for event, detail in facts.new():
                if event in _FAULT_LINES:
                    self.display.phase(_FAULT_LINES[event].format(**detail))
            if flood.poll() not in (None, 0):
                break
            self._require_in_time(chaos, "the experiment", last_at, self._why_chaos_ended)
            self._require_in_time(flood, "the flood", end_at, self.flood.last_words)
            if self.clock() > deadline:
                message = "the flood or the experiment did not end in time"
                raise DrillError(
                    message, remedy=f"see flood.log and chaos.log in {self.run_dir / 'logs'}"
                )
        for planned in plan:
            self._announce(*planned)
        if flood.returncode != 0:
            message = f"the flood ended with {flood.returncode}:\n{self.flood.last_words()}"
            raise DrillError(message)

    def _require_in_time(
        self, child: subprocess.Popen[bytes], what: str, ends_at: float, why: Callable[[], str]
    ) -> None:
        """Raise :class:`DrillError` if ``child`` ended before ``ends_at``: nothing can follow."""
        early_s = ends_at - self.clock()
        if child.poll() is not None and early_s > _EARLY_S:
            message = f"{what} ended {early_s:.0f} s before its plan: {why()}"
            raise DrillError(message, remedy="the drill was stopped; what is there is judged")

    def _why_chaos_ended(self) -> str:
        """The first problem of the experiment's journal, or the last line of its log."""
        try:
            journal = json.loads((self.run_dir / JOURNAL).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return self._tail("chaos").strip().rpartition("\n")[2] or "it said nothing"
        # How it ended follows from what happened in it, so the earlier cause is named.
        problems = problems_of_journal(journal)
        causes = [problem for problem in problems if not problem.startswith(ENDED_AS)]
        return next(iter(causes or problems), "its journal shows no reason")

    def _announce(self, at: float, event: str, text: str) -> None:
        self.display.phase(text)
        self.event(event, planned_at=at)

    def _await_nodes(self) -> None:
        """Wait until every node says how far its network has come, as long as for a venue at rest.

        Raises :class:`NotBegunError`: what came before the drill could not be told from its own.
        """
        deadline = self.clock() + self.policy.targets.recovery_max / 1000
        told = False
        while self.before is None:
            try:
                self.before = before_of(self.deployment)
            except EvidenceError as error:
                if self.clock() > deadline:
                    raise NotBegunError(f"the drill cannot begin: {error}") from error
                if not told:
                    told = True
                    self.display.line(f"waiting for a node: {error}")
                self._tick(None)

    def _await_steady(self, *, waited_for_the_rest: bool = False) -> None:
        """Wait until the venue is as a drill must find it, for at most the bound on recovery.

        For as long it is also waited, once, for pages to be resolved, and for signing to be back in
        the primary region; but a drill may begin without, for it says itself what it cannot tell
        then. A control that is switched off may page for as long as it is.

        Raises :class:`NotBegunError`: what an earlier drill left behind would be judged as this
        one's.
        """
        deadline = self.clock() + self.policy.targets.recovery_max / 1000
        told = False
        while True:
            steady = self._is_steady(state := self._tick(None))
            late = self.clock() > deadline
            left = self._left_over(state) if steady and not waited_for_the_rest else None
            if steady and (left is None or late):
                break
            if left is not None and not told:
                told = True
                self.display.line(f"waiting for what was left before: {left}")
            if late:
                found = "could not be read" if state is None else f"is in tier {state.tier}"
                message = f"the drill cannot begin: the venue {found}, and does not come to rest"
                raise NotBegunError(message, remedy="see what the drill before it left behind")
        self._stayed_normal = True

    def _is_steady(self, state: VenueState | None) -> bool:
        """Whether the tier is normal, and no withdrawal waits longer than on a calm day."""
        if state is None:
            # A venue that tells nothing of itself is found at rest by the experiment alone.
            return self.records is None and "status" not in self.operations
        drained_ms = drained_age_ms(self.policy) or self.policy.targets.small_withdrawal_within
        return state.tier == "normal" and (state.oldest_s or 0.0) < drained_ms / 1000

    def _left_over(self, state: VenueState | None) -> str | None:
        """What the drill before may have left, which would be taken for this one's."""
        pages = self.deployment.pages
        if pages is not None and pages.is_file():
            status: dict[str, str] = {}
            for line in pages.read_text(encoding="utf-8").splitlines():
                with suppress(ValueError, KeyError):  # the last one may be half written
                    page = json.loads(line)
                    status[json.dumps(page.get("labels"), sort_keys=True)] = page["status"]
            if firing := [name for name, last in status.items() if last == "firing"]:
                return f"open pages: {len(firing)}"
        regions = self.deployment.regions
        signing = None if state is None else state.signing_region
        if regions is not None and signing not in {None, regions.primary}:
            return f"signing is in {signing}"
        return None

    def _await_recovery(self) -> None:
        """Wait until all withdrawals are resolved and the tier is normal, then watch it stay so.

        The wait ends a margin after the bound on recovery. What has recovered is watched for as
        long as the tier machine could still flip.
        """
        self.display.phase("healing: the queue drains and the tier returns")
        cleared = last_event(self.run_dir / timeline.TIMELINE, "fault.cleared")
        since = cleared if cleared is not None else self.clock()
        self.event("healed", cleared_at=cleared)
        shock_ended = max(since, self._flood_ends)
        deadline = shock_ended + self.policy.targets.recovery_max / 1000 + _BEYOND_BOUND_S
        while self.clock() < deadline:
            if self._is_steady(self._tick(None)):
                self.event("drained")
                self.display.line(
                    f"drained and back to normal {self.clock() - since:.1f} s after healing"
                )
                self._start_following()
                self._watch_settling()
                return

    def _watch_settling(self) -> None:
        """Go on observing until the tier can no longer flip for what came before."""
        settling_s = settling_ms(self.policy, left_normal=not self._stayed_normal) / 1000
        self.display.phase(f"watching whether the tier stays normal, for {settling_s:g} s")
        # The return is judged by the observers, who may have seen it later than this process did.
        watch_until = self.clock() + settling_s + _BEYOND_RETURN_S
        self._offered_per_s = 0.0
        following = self._children.get(_FOLLOW)
        progress = None if following is None else JsonLines(following.stdout)
        while self.clock() < watch_until:
            self._tick(progress)  # else the pipe would be full after some minutes

    def _await_quiet(self) -> None:
        """Wait until the last requests are final, so that records and chains are read at rest.

        Bounded by the time within which small withdrawals complete.
        """
        deadline = time.monotonic() + self.policy.targets.small_withdrawal_within / 1000
        while (
            self.records is not None and time.monotonic() < deadline and self.records.unfinished()
        ):
            self._tick(None)

    def _start_following(self) -> subprocess.Popen[bytes]:
        """Have the venue asked for every request that it acknowledged, until each is at its end.

        That goes on beside the last watch, and ends only once its stdin is closed, because the
        prober asks for withdrawals until then. At the latest it ends a margin after the bounds on
        recovery and on a withdrawal, so that one which is still open then is seen to be late.
        """
        targets = self.policy.targets
        cleared = last_event(self.run_dir / timeline.TIMELINE, "fault.cleared") or 0.0
        bounds_ms = targets.recovery_max + targets.small_withdrawal_within
        ends = max(cleared, self._flood_ends) + bounds_ms / 1000 + _BEYOND_BOUND_S
        within_s = max(_FOLLOW_S_MIN, ends - self.clock())
        return self._start(
            _FOLLOW,
            [
                *module("loadtests.follow"),
                *("--deployment", str(self.deployment.path), "--run", str(self.run_dir)),
                *("--within-s", f"{within_s:.1f}"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def _follow(self) -> None:
        """Wait until every acknowledged request was followed to its end, or as far as it may be."""
        self.display.phase("following every acknowledged request to its end")
        following = self._children.get(_FOLLOW) or self._start_following()
        if following.stdin is not None:
            following.stdin.close()
        progress = JsonLines(following.stdout)
        heard = shown = time.monotonic()  # it bounds itself, and says every second how far it is
        while following.poll() is None and time.monotonic() < heard + _TAIL_TIMEOUT_S:
            self._tick(None)
            for line in progress.read():
                heard = time.monotonic()
                if time.monotonic() - shown >= _FOLLOWED_EVERY_S:
                    shown = time.monotonic()
                    self.display.line(f"{line['final']:,} of {line['total']:,} are at their end")
        if following.poll() is None:
            message = "the requests are not followed any more"
            raise DrillError(message, remedy=f"see follow.log in {self.run_dir / 'logs'}")

    def _tick(self, progress: JsonLines | None) -> VenueState | None:
        """Check processes, kill switch and progress once; called about four times a second."""
        self.check()
        self._obey()
        for line in progress.read() if progress is not None else ():
            self._offered_per_s = float(line.get("offered_per_s", self._offered_per_s))
        if progress is None:
            self._offered_per_s = 0.0
        time.sleep(_WATCH_EVERY_S)
        state = self._bounded_state()
        if state is None or state.tier != "normal":
            self._stayed_normal = False
        if state is not None:
            self.display.state(state, offered_per_s=self._offered_per_s)
        return state

    @cached_property
    def _bounded_state(self) -> BoundedRead[VenueState | None]:
        """The venue now; None if it does not say so soon. A venue that hangs must not keep a stop.

        Only people see it; the evidence is gathered elsewhere.
        """
        return BoundedRead(self._state, within_s=_STATE_S_MAX)

    def _state(self) -> VenueState | None:
        return self._told() if self.records is None else self.records.state()

    def _told(self) -> VenueState | None:
        """What the venue tells its customers of itself."""
        if "status" not in self.operations:
            return None
        adapter = load_adapter(self.deployment.venue.speaks, policy=self.policy)

        async def ask() -> str:
            async with httpx.AsyncClient(
                base_url=self.deployment.urls.api, timeout=_STATUS_S_MAX, trust_env=False
            ) as http:
                return (await VenueClient(http, adapter).status()).tier

        return VenueState(tier=asyncio.run(ask()))

    def _log(self, name: str) -> Path:
        """The log of a process of this drill, in the run directory."""
        folder = self.run_dir / "logs"
        folder.mkdir(exist_ok=True)
        return folder / f"{name}.log"

    def _tail(self, name: str) -> str:
        log = self._log(name)
        return tail(log.read_text(encoding="utf-8", errors="replace"))

    def _end_children(self, *names: str) -> None:
        """End these, all within one grace: a teardown has five seconds in all."""
        end_groups([self._children[name] for name in names], grace_s=_CHILDREN_GRACE_S)
