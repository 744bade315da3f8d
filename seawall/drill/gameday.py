"""A whole game day: from a policy and a seed to a verdict for each drill, and an exit code.

The drills of a game day share one deployment, which is set up once. Each has a run directory of its
own, and is judged from that alone.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from seawall import setup
from seawall.conventions import sabotage as sabotage_names
from seawall.conventions.environment import FAULTS_VARIABLE
from seawall.deployment_check import require_possible, require_reachable
from seawall.drill.closing import Closing
from seawall.drill.collect import LateLog, collect, note_components
from seawall.drill.display import Display
from seawall.drill.earlier import Earlier
from seawall.drill.flood import ARRIVALS, Flood
from seawall.drill.interruption import end_like_ctrl_c
from seawall.drill.own_sandbox import set_up
from seawall.drill.result import Results
from seawall.drill.sabotage import require_covered
from seawall.drill.shock import Shock
from seawall.drill.stack import Stack, alone_on, given_stack, use_seed
from seawall.drill.stop_conditions import stop_conditions
from seawall.drill_check import require_drills, require_order
from seawall.errors import ExitCode, NotBegunError, SeawallError, UsageError, errors_of
from seawall.evidence.ports import before_of, chains_of, counted_of, offers_of, records_of
from seawall.formats import timeline
from seawall.formats.customers import require_private
from seawall.formats.deployment import Deployment, address_of, load_deployment, set_run_directory
from seawall.formats.drill_contract.loading import load_adapter
from seawall.formats.run_directory import (
    PREPARED,
    Manifest,
    commit_of,
    create_run_directory,
    describe,
    named_from,
    numbered,
    point_latest_at,
    repetition_of,
    write_policy,
)
from seawall.kill_switch import KillSwitch, KillSwitchWatch, kill_switches
from seawall.lease import await_undone
from seawall.policy import GameDay, Policy
from seawall.policy_file import load_policy
from seawall.processes.environment import clean_own_process
from seawall.sandbox_program import copy_logs, running_sandbox


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asked for, checked: nothing is started before all of it makes sense."""

    root: Path
    policy: Policy
    policy_path: Path
    deployment: Deployment | None
    gameday: str | None
    drills: tuple[str, ...]
    seed: int
    sabotage: str | None
    keep: bool
    faults: str

    @property
    def runs(self) -> Path | None:
        """Where the deployment keeps its runs; None for the default place."""
        return None if self.deployment is None else self.deployment.runs

    @property
    def replay(self) -> str:
        """The command that runs the same drills again, for a shell."""
        words = ["bin/seawall", *(["gameday"] if self.gameday else ["drill", *self.drills])]
        if self.deployment is None:
            words += ["--seed", str(self.seed)]
        words += ["--gameday", self.gameday] if self.gameday else []
        # On a stack that goes on, the same seed would be repetitions of the same requests.
        words += (
            ["--policy", named_from(self.root, self.policy_path)]
            if self.deployment is None
            else ["--deployment", named_from(self.root, self.deployment.path)]
        )
        if self.sabotage and self.deployment is None:  # else its file says so
            words += ["--sabotage", self.sabotage]
        own = f"{FAULTS_VARIABLE}={shlex.quote(self.faults)} " if self.faults else ""
        return own + shlex.join(words)


def make_request(
    *,
    root: Path,
    policy_path: Path | None,
    deployment: Path | None = None,
    name: str | None,
    drills: Sequence[str] = (),
    seed: int | None,
    sabotage: str | None,
    keep: bool,
) -> Request:
    """Check everything that can be checked beforehand.

    ``deployment`` is the file of a running stack, which names its own policy; without it a sandbox
    with the policy at ``policy_path`` is started. ``name`` is that of a game day, the first one if
    None; ``drills`` are run instead of one.

    Raises :class:`PolicyError` or :class:`UsageError`.
    """
    given = None
    if deployment is not None:
        given = _given(deployment, policy_path, sabotage=sabotage, keep=keep)
        policy_path = given.policy
        sabotage = given.sabotage
    if policy_path is None:
        message = "neither a policy nor a deployment is named"
        raise UsageError(message, remedy="give --policy or --deployment")
    policy = load_policy(policy_path)
    require_drills(policy_path)
    if drills:
        gameday, chosen = None, tuple(drills)
        _require_known(policy, chosen)
        require_order(policy, policy_path, chosen)
    else:
        day = _gameday(policy, name)
        gameday, chosen = day.name, day.drills
    if given is not None:
        require_possible(given, policy, chosen)
    if sabotage in sabotage_names.FORMER_SPELLINGS:
        former, sabotage = sabotage, sabotage_names.FORMER_SPELLINGS[sabotage]
        sys.stderr.write(f"--sabotage {former} is an old spelling of --sabotage {sabotage}\n")
    if sabotage is not None and sabotage not in sabotage_names.GAMEDAY_SABOTAGES:
        message = f"a game day covers no control called {sabotage!r} that could be switched off"
        raise UsageError(message, remedy=f"one of: {', '.join(sabotage_names.GAMEDAY_SABOTAGES)}")
    if sabotage is not None:
        require_covered(policy, chosen, sabotage)
    return Request(
        root=root,
        policy=policy,
        policy_path=policy_path.resolve(),
        deployment=given,
        gameday=gameday,
        drills=chosen,
        seed=secrets.randbelow(2**31) if seed is None else seed,
        sabotage=sabotage,
        keep=keep,
        # Read before the user's environment is forgotten.
        faults=os.environ.get(FAULTS_VARIABLE, ""),
    )


def _given(
    deployment: Path, policy_path: Path | None, *, sabotage: str | None, keep: bool
) -> Deployment:
    """The stack that a deployment file describes, if it permits a drill.

    Raises :class:`UsageError` for a file or options that permit none.
    """
    for given, option in (
        (policy_path is not None, "--policy"),
        (sabotage is not None, "--sabotage"),
        (keep, "--keep"),
    ):
        if given:
            raise UsageError(
                f"{option} is for a sandbox that is started for the drill",
                remedy=f"leave out {option}: the deployment file says what is in force there",
            )
    found = load_deployment(deployment)
    found.permit()
    if found.customers is None:
        raise UsageError(
            f"{found.path} names no customers in whose names a drill may act",
            remedy="add `customers` (docs/own-venue.md)",
        )
    require_private(found.customers)
    return found


def _gameday(policy: Policy, name: str | None) -> GameDay:
    try:
        return policy.gameday(name)
    except KeyError as error:
        message = f"the policy has no game day called {name!r}"
        raise UsageError(
            message, remedy=f"one of: {', '.join(day.name for day in policy.gamedays)}"
        ) from error


def _require_known(policy: Policy, drills: Sequence[str]) -> None:
    for name in drills:
        if name not in policy.drills:
            message = f"the policy has no drill called {name!r}"
            raise UsageError(message, remedy=f"one of: {', '.join(policy.drills)}")


def run_gameday(request: Request, *, as_json: bool) -> int:
    """Run every drill; returns the exit code of their verdicts together.

    Raises the error tree for everything that prevents the first drill. What breaks a later one is
    in its verdict.
    """
    end_like_ctrl_c(signal.SIGTERM)
    # Read before the user's environment is forgotten: a stack that schedules game days names its
    # kill switch there, and the credentials that read it.
    switches = kill_switches(None)
    if request.deployment is None:
        programs = set_up()
    else:  # needs none of the programs, and keeps what leads to AWS
        programs = {}
        clean_own_process(own_stack=request.deployment.kind != "sandbox")
        require_reachable(request.deployment)
    KillSwitchWatch(switches=[*switches, *_of_stack(request)]).require_armed()
    with Display() as display:
        display.line(f"seed {request.seed}; replay with: {request.replay}")
        day = _Day(request=request, programs=programs, switches=switches, display=display)
        try:
            day.run()
        except SeawallError as error:
            if not day.results.verdicts:
                raise
            display.line(f"the game day ended early: {error}")
    return day.results.show(as_json=as_json)


@dataclass(kw_only=True)
class _Day:
    """The drills of one request, one after another on one deployment."""

    request: Request
    programs: Mapping[str, setup.Located]
    switches: Sequence[KillSwitch]
    display: Display
    results: Results = field(init=False)
    identity: str = field(default_factory=lambda: uuid.uuid4().hex[:8])
    _spent: list[Path] = field(default_factory=list)
    _next: _Run | None = None
    _closing: tuple[_Run, Closing] | None = None
    _log_before: LateLog | None = None
    _earlier: Earlier = field(default_factory=Earlier)

    def __post_init__(self) -> None:
        """Nothing is reached yet."""
        request = self.request
        self.results = Results(
            gameday=request.gameday,
            seed=request.seed,
            sabotage=request.sabotage,
            drills=request.drills,
        )

    def run(self) -> None:
        """Bring the deployment up with the first drill's run directory, and run them all."""
        first = self._make(0)
        first.open(self.request)
        current = [first]

        def event(name: str) -> None:
            if name == "sandbox.started":
                point_latest_at(first.run_dir)
            current[0].event(name)

        with self._stack(first, event) as stack:
            try:
                use_seed(stack.deployment, self.request.seed, self.request.drills)
                for position in range(len(self.request.drills)):
                    if position:
                        current[0], self._next = self._next or self._make(position), None
                        current[0].open(self.request)
                        point_latest_at(current[0].run_dir)
                    self._drill(stack, current[0], position)
                    if current[0].manifest.broke is not None and current[0].begun:
                        # Stopped by people, or with a part that died: nobody knows what it left.
                        break
                self._judge_last()
            except BaseException as error:
                if isinstance(error, Exception):  # the drill before has a verdict all the same
                    self._judge_last()
                if self.request.keep:
                    self.display.line("the sandbox is still up: bin/seawall down removes it")
                raise
            finally:
                self._end(current[0])

    def _end(self, current: _Run) -> None:
        """Leave nothing under way, whatever ended the day."""
        with ExitStack() as steps:
            if self._next is not None:
                steps.callback(self._next.drop)
            steps.callback(current.close)
            if self._closing is not None:
                run, closing = self._closing
                closing.abandon()
                self.display.line(
                    f"{run.name} is not judged; bin/seawall scorecard {run.run_dir} judges what is"
                    " there"
                )

    @contextmanager
    def _stack(self, first: _Run, event: Callable[[str], None]) -> Iterator[Stack]:
        """The stack that the user named, or a sandbox of the day's own."""
        if self.request.deployment is not None:
            self.display.phase(f"drilling the stack of {self.request.deployment.path}")
            with given_stack(
                self.request.deployment.path, logs=first.run_dir / "logs", report=self.display.line
            ) as stack:
                point_latest_at(first.run_dir)
                yield stack
            return
        self.display.phase("starting the sandbox")
        with (
            running_sandbox(
                programs={name: located.path for name, located in self.programs.items()},
                policy_path=self.request.policy_path,
                seed=self.request.seed,
                run_id=first.manifest.run_id,
                report=self.display.line,
                event=event,
                sabotage=self.request.sabotage,
                keep=self.request.keep,
                logs_to=first.run_dir / "logs",
            ) as sandbox,
            alone_on(sandbox.deployment),
        ):
            yield sandbox

    def _make(self, position: int) -> _Run:
        """A drill's run directory and manifest; the manifest is written when the drill begins."""
        request = self.request
        drill = request.drills[position]
        repetition, repetitions = repetition_of(request.drills, position)
        name = numbered(drill, repetition, repetitions)
        run_dir = create_run_directory(
            request.root, seed=request.seed, drill=name, now=time.time(), parent=request.runs
        )
        manifest = describe(
            request.policy,
            root=request.root,
            policy_path=named_from(request.root, request.policy_path),
            run_id=f"{run_dir.name}-{self.identity}",
            seed=request.seed,
            gameday=request.gameday,
            drill=drill,
            repetition=repetition,
            repetitions=repetitions,
            replay=request.replay,
            sabotage=request.sabotage,
            programs={
                program: setup.format_version(located.version)
                for program, located in self.programs.items()
            },
            knobs=request.policy.drills[drill].model_dump(mode="json"),
        )
        return _Run(name=name, run_dir=run_dir, manifest=manifest)

    def _flood(self, stack: Stack, run: _Run) -> Flood:
        return Flood(
            deployment=stack.deployment,
            drill=run.drill,
            seed=self.request.seed,
            spent=[path for path in self._spent if path.is_file()],
            root=self.request.root,
            run_dir=run.run_dir,
            faults=self.request.faults,
        )

    def _prepare_next(self, stack: Stack, run: _Run, position: int) -> None:
        """Plan and load the flood of the drill after the one at ``position``, if there is one.

        It takes about as long as what is followed and gathered of this one. Only in a sandbox of
        the day's own: elsewhere customers may have to log in for it, which nothing must do while no
        kill switch is watched, and what they were given may be worn out before the drill begins.
        """
        self._spent.append(run.run_dir / ARRIVALS)
        if self.request.deployment is not None or position + 1 == len(self.request.drills):
            return
        try:
            self._next = self._make(position + 1)
            (self._next.run_dir / PREPARED).touch()
            self._next.flood = self._flood(stack, self._next)
            self._next.flood.prepare()
        except (SeawallError, OSError) as error:
            # This drill is complete, and no fault of the next one is its own.
            self.display.line(f"the next flood is prepared later: {error}")
            dropped, self._next = self._next, None
            if dropped is not None:
                dropped.drop()

    def _drill(self, stack: Stack, run: _Run, position: int) -> None:
        """Apply the shock and gather the evidence; it is judged once AWS's late log is there.

        A drill that broke leaves what it has, and that is judged.
        """
        request, data_dir = self.request, stack.deployment.data_dir
        if len(request.drills) > 1:
            self.display.phase(f"drill {position + 1} of {len(request.drills)}: {run.name}")
        # While it lasts, every process that writes evidence knows the run directory.
        restarts = request.policy.drills[run.drill].restarts
        set_run_directory(data_dir, run.run_dir, restarts=restarts)
        log = LateLog(run_dir=run.run_dir, report=self.display.line)
        try:
            self._shock_and_collect(stack, run, position, log)
        except BaseException:
            log.abandon()
            raise
        finally:
            # What happens on the deployment from here on is no part of this run.
            set_run_directory(data_dir, None)
        closing = Closing(drill=run.name, log=log, manifest=run.manifest, report=self.display.line)
        before = self._closing
        if before is not None:
            before[1].wait()  # one at a time: AWS's own log answers two requests a second
        self._closing, self._log_before = (run, closing), log
        ended_at = time.time()
        closing.begin()
        if run.manifest.broke is None:
            self._earlier.add(run.run_dir, ended_at=ended_at, report=self.display.line)
        if position and request.deployment is None:
            copy_logs(data_dir, run.run_dir / "logs", self.display.line)
        if before is not None:
            self._judge(*before)

    def _judge_last(self) -> None:
        """Judge the drill that is not judged yet, if there is one."""
        if self._closing is not None:
            try:
                self._judge(*self._closing)
            except Exception:
                self._closing = None  # it will not be judged by trying again
                raise
            self._closing = None

    def _judge(self, run: _Run, closing: Closing) -> None:
        """Wait for the late evidence of a drill, and judge it."""
        self.results.verdicts.append((run.name, run.run_dir, closing.verdict()))

    def _shock_and_collect(self, stack: Stack, run: _Run, position: int, log: LateLog) -> None:
        deployment = stack.deployment
        deployment.permit()
        records = records_of(deployment)
        operations = load_adapter(deployment.venue.speaks, policy=self.request.policy).operations
        run.manifest.stack, run.manifest.kind = deployment.stack, deployment.kind
        run.manifest.api = address_of(deployment.urls.api)
        run.manifest.offers = offers_of(deployment, self.request.policy)
        run.manifest.operations = sorted(operations)
        run.manifest.chains = chains_of(deployment)
        run.manifest.counted = counted_of(deployment)
        run.manifest.earlier = self._earlier.runs
        run.manifest.write(run.run_dir)  # an interrupted run must count as one on this stack
        self._earlier.write(run.run_dir)
        # Nothing is begun on a stack whose nodes are not there; a later drill waits for them.
        before = None if position else before_of(deployment)
        flood = run.flood = run.flood or self._flood(stack, run)
        shock = Shock(
            stack=stack,
            records=records,
            operations=operations,
            policy=self.request.policy,
            name=run.drill,
            flood=flood,
            root=self.request.root,
            run_dir=run.run_dir,
            faults=self.request.faults,
            display=self.display,
            switches=self.switches,
            observed=partial(self._prepare_next, stack, run, position),
            before=before,
        )
        log.begin(
            deployment,
            policy=self.request.policy,
            started_at=self._earlier.logged_from(run.manifest.started_at),
            after=self._log_before,
        )
        broke = errors_of(
            partial(_begin, run, shock),
            shock.check,  # a part that died after the last look would go unseen
            partial(await_undone, deployment.urls.required("lease")),
        )
        if broke:
            run.manifest.broke = "; ".join(broke)
            run.event("broke", reason=run.manifest.broke)
            self.display.line(f"the drill broke: {run.manifest.broke}")
        self.display.phase("gathering the evidence")
        note_components(run.manifest, shock.components)
        load = shock.machine()
        run.manifest.machine = None if load is None else asdict(load)
        collect(
            deployment,
            records=records,
            policy=self.request.policy,
            manifest=run.manifest,
            before=self._earlier.since(shock.before),
            earlier=self._earlier,
            run_dir=run.run_dir,
            report=self.display.line,
            collected=partial(run.event, "collected"),
        )
        run.close()


@dataclass(kw_only=True)
class _Run:
    """One drill's run directory and manifest; ``name`` is its own among those of the day."""

    name: str
    run_dir: Path
    manifest: Manifest
    flood: Flood | None = None
    begun: bool = True

    @property
    def drill(self) -> str:
        """The name of the drill in the policy."""
        return self.manifest.drill

    def open(self, request: Request) -> None:
        """Begin the run: the manifest and the policy, from which the drill is judged."""
        self.manifest.started_at = time.time()
        self.manifest.commit, self.manifest.dirty = commit_of(request.root)
        self.manifest.write(self.run_dir)
        write_policy(request.policy, self.run_dir)
        (self.run_dir / PREPARED).unlink(missing_ok=True)

    def close(self) -> None:
        """End what still runs of its flood."""
        if self.flood is not None:
            self.flood.end()

    def drop(self) -> None:
        """Leave nothing of a run that was not begun: nothing of it has happened."""
        try:
            self.close()
        finally:
            shutil.rmtree(self.run_dir, ignore_errors=True)

    def event(self, name: str, **detail: Any) -> None:
        """Put one of the game day's own events on the timeline."""
        timeline.append(self.run_dir, source="gameday", event=name, at=time.time(), detail=detail)


def _begin(run: _Run, shock: Shock) -> None:
    """Run a drill, and note of ``run`` if it could not begin."""
    try:
        shock.run()
    except NotBegunError:
        run.begun = False
        raise


def bring_up(request: Request) -> int:
    """Start a sandbox with its stack and venue, and leave it running."""
    end_like_ctrl_c(signal.SIGTERM)
    programs = set_up()
    with Display() as display:
        display.phase("starting the sandbox")
        with running_sandbox(
            programs={name: located.path for name, located in programs.items()},
            policy_path=request.policy_path,
            seed=request.seed,
            run_id=f"up-{request.seed}-{uuid.uuid4().hex[:8]}",
            report=display.line,
            keep=True,
        ) as sandbox:
            deployment = sandbox.deployment
    print(f"the venue answers at {deployment.urls.api}")
    print(f"deployment file: {deployment.path}")
    print('use it by hand:  eval "$(bin/seawall env)"      remove it:  bin/seawall down')
    return ExitCode.PASS


def _of_stack(request: Request) -> list[KillSwitch]:
    """What may stop a drill on a stack that the user runs; of a sandbox it is not there yet."""
    if request.deployment is None:
        return []
    found = kill_switches(request.deployment.kill_switch, environment={})
    return [*found, *stop_conditions(request.policy, request.deployment)]
