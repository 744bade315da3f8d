"""The stack that is drilled: permitted, alone, and with a lease holder of its own if need be."""

from __future__ import annotations

import json
import multiprocessing
import os
import threading
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from seawall.cache import repository_root
from seawall.cli import contract
from seawall.drill import stack as stack_module
from seawall.drill.gameday import make_request
from seawall.drill.sabotage import require_whole
from seawall.drill.stack import SESSION_FILE, alone_on, given_stack, process_environment, use_seed
from seawall.errors import ServiceError, UsageError, errors_of
from seawall.formats.deployment import load_deployment
from seawall.kill_switch import KillSwitchFile
from seawall.lease import LeaseClient, UndoCall, await_undone
from seawall.policy_file import load_policy
from tests.testing.deployments import make_deployment, urls
from tests.testing.endpoints import serving

pytestmark = pytest.mark.usefixtures("programs_asked_once")
ROOT = repository_root()
NETWORKS: dict[str, Any] = {
    name: {
        "chain_id": network.chain_id,
        "node": "http://127.0.0.1:1",
        "transfers": {"senders": ["0x1"], "tokens": dict.fromkeys(network.tokens, "0x2")},
    }
    for name, network in load_policy(ROOT / "policies" / "sandbox.yaml").networks.items()
}
STAGING: dict[str, Any] = {"kind": "staging", "kill_switch": {"file": "switch"}}


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def user_file(folder: Path, **changes: Any) -> Path:
    """A deployment file of the user's, with the state of the kit in a folder beside it."""
    made = make_deployment(folder / "state", **{**STAGING, **changes})
    path = folder / "mine.json"
    path.write_text(made.model_dump_json())
    (folder / "c.csv").write_text("customer_id,api_key,network,asset,amount\n")
    (folder / "c.csv").chmod(0o600)
    return path


def test_a_second_drill_on_the_same_stack_is_refused_with_who_has_it(tmp_path: Path) -> None:
    """By the folder of state, and by the address: a copy of the file does not help."""
    first = make_deployment(tmp_path / "one")
    same_address = make_deployment(tmp_path / "two")
    elsewhere = make_deployment(tmp_path / "three", urls=urls(api="http://127.0.0.1:9"))
    with alone_on(first):
        for other in (first, same_address):
            refused = pytest.raises(UsageError, match=f"another .*process {os.getpid()}")
            with refused, alone_on(other):
                pass
        with alone_on(elsewhere):
            pass
    with alone_on(same_address):
        pass


def _hold(folder: Path, ready: Any) -> None:
    with alone_on(make_deployment(folder)):
        ready.set()
        multiprocessing.Event().wait()


def test_the_lock_of_a_killed_runner_is_gone(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    ready = context.Event()
    runner = context.Process(target=_hold, args=(tmp_path, ready))
    runner.start()
    assert ready.wait(10)
    with pytest.raises(UsageError, match="another drill"), alone_on(make_deployment(tmp_path)):
        pass
    runner.kill()
    runner.join(10)
    with alone_on(make_deployment(tmp_path)):
        pass


def test_a_stack_without_a_lease_holder_gets_one_that_ends_with_the_drill(tmp_path: Path) -> None:
    path = user_file(tmp_path, urls={"api": "http://127.0.0.1:1"})
    written = path.read_text()
    with given_stack(path, logs=tmp_path / "logs", report=pytest.fail) as stack:
        lease = stack.deployment.urls.required("lease")
        assert httpx.get(f"{lease}/leases", trust_env=False).status_code == 200
        assert stack.deployment.path == tmp_path / "state" / SESSION_FILE
        assert load_deployment(stack.deployment.path).urls.lease == lease
        assert [part.name for part in stack.components()] == ["lease"]
        stack.check()
    with pytest.raises(httpx.HTTPError):
        httpx.get(f"{lease}/leases", trust_env=False)
    assert path.read_text() == written
    assert not (tmp_path / "state" / SESSION_FILE).exists()


class _Healing:
    """What answers an undo: refusals until ``heal`` is set, then success."""

    def __init__(self) -> None:
        self.heal, self.undone, self.asked = threading.Event(), threading.Event(), 0

    def __call__(self, _path: str, _body: Any) -> tuple[int, Any]:
        """One call."""
        self.asked += 1
        if not self.heal.is_set():
            return 503, {}
        self.undone.set()
        return 200, {}


def _left_behind(path: Path, logs: Path, undo: str, report: Any) -> None:
    """A drill that is interrupted while its fault is in force."""
    with suppress(KeyboardInterrupt), given_stack(path, logs=logs, report=report) as stack:
        with closing(LeaseClient(stack.deployment.urls.required("lease"))) as leases:
            calls = [UndoCall(method="POST", url=undo, json={})]
            leases.lodge("dark", ttl_ms=100, undo=calls)
        raise KeyboardInterrupt


def test_an_undo_is_awaited_before_the_lease_holder_ends(tmp_path: Path) -> None:
    """It takes longer than the second that the holder has once it must end."""
    path, healing = user_file(tmp_path, urls={"api": "http://127.0.0.1:1"}), _Healing()
    with serving(healing) as url:
        threading.Timer(2.0, healing.heal.set).start()
        _left_behind(path, tmp_path / "logs", url, pytest.fail)
        assert healing.undone.is_set()


def test_what_is_not_undone_in_time_is_said_and_the_sentinel_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after `kill -9` of the runner: an orderly end must not leave more behind."""
    monkeypatch.setattr(stack_module, "await_undone", partial(await_undone, within_ms=300))
    path, healing = user_file(tmp_path, urls={"api": "http://127.0.0.1:1"}), _Healing()
    said: list[str] = []
    with serving(healing) as url:
        _left_behind(path, tmp_path / "logs", f"{url}/fault", said.append)
        assert not healing.undone.is_set()
        healing.heal.set()
        assert healing.undone.wait(10)
    [line] = said
    assert f"still in force after 300 ms: dark (make these calls by hand: POST {url}/fault" in line


def test_everything_that_broke_a_drill_is_named_once() -> None:
    """Also a fault that is still in force after a drill that had broken before."""

    def died() -> None:
        raise ServiceError("the prober died")

    def left() -> None:
        raise ServiceError("still in force: dark")

    assert errors_of(died, died, left) == ["the prober died", "still in force: dark"]
    assert errors_of(lambda: None) == []


def test_a_stack_that_permits_no_drill_is_not_touched(tmp_path: Path) -> None:
    path = user_file(tmp_path, kill_switch=None)
    refused = pytest.raises(UsageError, match="names no kill switch")
    with refused, given_stack(path, logs=tmp_path / "logs", report=pytest.fail):
        pass
    assert sorted(child.name for child in tmp_path.iterdir()) == ["c.csv", "mine.json"]


def test_the_users_aws_counts_on_their_stack_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "drills")
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    own = process_environment(make_deployment(tmp_path, **STAGING))
    sandbox = process_environment(make_deployment(tmp_path))
    assert (own["AWS_PROFILE"], own["HTTPS_PROXY"]) == ("drills", "http://proxy.example:3128")
    assert "AWS_CONFIG_FILE" not in own
    assert "AWS_PROFILE" not in sandbox
    assert "HTTPS_PROXY" not in sandbox
    assert own["PYTHONPATH"] == sandbox["PYTHONPATH"] == str(ROOT)


@pytest.mark.parametrize(
    ("changes", "options", "complaint"),
    [
        ({}, {"policy_path": Path("p.yaml")}, "--policy is for a sandbox"),
        ({}, {"sabotage": "failover"}, "--sabotage is for a sandbox"),
        ({}, {"keep": True}, "--keep is for a sandbox"),
        ({"kill_switch": None}, {}, "names no kill switch"),
        ({"kind": "production"}, {}, "has no approval"),
        ({}, {}, "names no customers"),
        (
            {"customers": "c.csv", "evidence": {"numbered_payouts": {"file": "p.csv"}}},
            {},
            "has no file of its own",
        ),
        (
            {"customers": "c.csv", "networks": NETWORKS},
            {"drills": ["rpc-dark"]},
            "says nothing of such an endpoint",
        ),
        ({"customers": "c.csv"}, {"name": "unheard-of"}, "no game day called 'unheard-of'"),
    ],
)
def test_a_wrong_deployment_is_refused_before_anything_is_touched(
    changes: dict[str, Any], options: dict[str, Any], complaint: str, tmp_path: Path
) -> None:
    path = user_file(tmp_path, **changes)
    given: dict[str, Any] = {
        "policy_path": None,
        "name": None,
        "seed": 1,
        "sabotage": None,
        "keep": False,
    }
    with pytest.raises(UsageError, match=complaint):
        make_request(root=ROOT, deployment=path, **{**given, **options})
    assert sorted(child.name for child in tmp_path.iterdir()) == ["c.csv", "mine.json"]


def test_a_right_one_names_its_policy_and_its_own_replay(tmp_path: Path) -> None:
    path = user_file(tmp_path, customers="c.csv", runs="kept", networks=NETWORKS)
    request = make_request(
        root=ROOT,
        policy_path=None,
        deployment=path,
        name=None,
        drills=["calm"],
        seed=7,
        sabotage=None,
        keep=False,
    )
    assert request.replay == f"bin/seawall drill calm --deployment {path}"
    assert request.policy.policy == "sandbox"
    assert request.runs == tmp_path / "kept"
    assert load_deployment(path).kill_switch == KillSwitchFile(file=tmp_path / "switch")
    assert json.loads(path.read_text())["kill_switch"] == {"file": "switch"}


def test_a_control_that_is_switched_off_on_the_stack_is_so_in_every_run_there(
    tmp_path: Path,
) -> None:
    """Nobody says so again, and without it a drill that does not need it proves nothing."""
    path = user_file(tmp_path, customers="c.csv", networks=NETWORKS, sabotage="rpc-failover")
    given: dict[str, Any] = {"policy_path": None, "name": None, "seed": 1, "keep": False}
    with pytest.raises(UsageError, match="calm does not cover the control rpc-failover"):
        make_request(root=ROOT, deployment=path, drills=["calm"], sabotage=None, **given)
    with pytest.raises(UsageError, match="--sabotage is for a sandbox"):
        make_request(root=ROOT, deployment=path, sabotage="failover", **given)
    with pytest.raises(UsageError, match="rpc-failover is switched off on sandbox"):
        require_whole(load_deployment(path), "segregation")
    endpoints = {"primary": "http://127.0.0.1:1", "standby": "http://127.0.0.1:2"}
    networks = {name: {**each, "rpc": endpoints} for name, each in NETWORKS.items()}
    path = user_file(
        tmp_path,
        kind="sandbox",
        customers="c.csv",
        networks=networks,
        sabotage="rpc-failover",
        proxies={
            f"rpc.{name}.{side}": {"listen": "127.0.0.1:2", "upstream": "127.0.0.1:3"}
            for name in networks
            for side in endpoints
        },
    )
    request = make_request(root=ROOT, deployment=path, drills=["rpc-dark"], sabotage=None, **given)
    assert request.sabotage == "rpc-failover"
    assert "--sabotage" not in request.replay


def test_a_list_of_customers_that_others_can_read_is_refused(tmp_path: Path) -> None:
    path = user_file(tmp_path, customers="c.csv", networks=NETWORKS)
    (tmp_path / "c.csv").chmod(0o640)
    with pytest.raises(UsageError, match=r"others can read .*chmod 600"):
        make_request(
            root=ROOT,
            policy_path=None,
            deployment=path,
            name=None,
            seed=1,
            sabotage=None,
            keep=False,
        )


def test_a_seed_is_used_once_for_a_drill_on_a_stack(tmp_path: Path) -> None:
    """The same requests again would be known to the venue, and perhaps paid already."""
    deployment = make_deployment(tmp_path)
    use_seed(deployment, 7, ["calm", "calm"])
    use_seed(deployment, 7, ["rpc-dark"])
    use_seed(deployment, 8, ["calm"])
    with pytest.raises(UsageError, match=r"seed 7 was used for rpc-dark .*leave out --seed"):
        use_seed(deployment, 7, ["api-killed", "rpc-dark"])
    use_seed(deployment, 7, ["api-killed"])


def test_one_host_has_one_lock_however_it_is_spelt(tmp_path: Path) -> None:
    first = make_deployment(tmp_path / "one", kind="staging", urls=urls(api="http://venue.example"))
    for number, spelt in enumerate(("http://VENUE.example:80/", "http://venue.example/v2")):
        other = make_deployment(tmp_path / f"two{number}", kind="staging", urls=urls(api=spelt))
        with alone_on(first), pytest.raises(UsageError, match="another drill"), alone_on(other):
            pass


def test_all_names_of_one_address_have_one_lock(tmp_path: Path) -> None:
    first, other = (
        make_deployment(tmp_path / host, urls=urls(api=f"http://{host}:7"))
        for host in ("localhost", "127.0.0.1")
    )
    with alone_on(first), pytest.raises(UsageError, match="another drill"), alone_on(other):
        pass
    with alone_on(other), pytest.raises(UsageError, match="another drill"), alone_on(first):
        pass


def test_the_contract_of_a_venue_is_not_tried_while_a_drill_runs_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its withdrawal would be among those that the drill is judged by."""
    path = user_file(tmp_path, customers="c.csv", networks=NETWORKS)
    monkeypatch.setattr(contract, "_verified", lambda *_, **__: pytest.fail("it is tried"))
    with alone_on(load_deployment(path)), pytest.raises(UsageError, match="another drill"):
        contract.verify(path, read_only=True)
