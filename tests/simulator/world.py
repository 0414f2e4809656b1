"""A simulated cluster: hosts, network, clients, a plan of faults, and those who watch.

A run has three phases. The cluster starts and must come to agreement; then faults strike while clients write
(safety: nothing forbidden may happen); then all faults end and everything must be well again within a limit (liveness).
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from cluster.agreement.errors import ClusterError
from tests.simulator import checkers, formation
from tests.simulator.clock import MS, SECOND, Timeline
from tests.simulator.faults import Fault, draw_plan
from tests.simulator.network import End, Network
from tests.simulator.parameters import Parameters, source
from tests.simulator.process import Process, SimHost
from tests.simulator.replication import EMPTY, Image, Write
from tests.simulator.trace import Trace
from tests.simulator.workload import Client, Ledger

START_LIMIT_US = 30 * SECOND
LOOK_US = 100 * MS
HAND_OVER_LIMIT_US = 6 * SECOND
HAND_OVER_LOOK_US = 10 * MS
STALL_US = (100 * MS, 800 * MS)
"""How long a process that stutters gets no time; in between it runs for twice as long, on average."""


@dataclass(slots=True)
class Outcome:
    """How a run went."""

    seed: int
    digest: str
    problem: str = ""  # empty: every checker is content
    acked: int = 0
    steps: int = 0
    plan: list[str] = field(default_factory=list)


class World:
    """Everything that there is, built from `parameters`."""

    def __init__(
        self,
        parameters: Parameters,
        watchers: Iterable[type[checkers.Checker]] = checkers.ALL,
        tell: Callable[[str], None] | None = None,
    ) -> None:
        self.parameters = parameters
        seed = parameters.seed
        self.timeline = Timeline()
        self.trace = Trace(tell)
        self.network = Network(self.timeline, source(seed, "network"), parameters.latency_us, parameters.jitter_us)
        self.rng = source(seed, "world")
        self._stutters = source(seed, "stutters")
        self.ledger = Ledger()
        self.hosts = [
            SimHost(self, number, source(seed, f"host {number}")) for number in range(1, parameters.nodes + 1)
        ]
        self.network.hosts = {host.ip: host for host in self.hosts}
        self.slots = [start for start, _ in formation.slot_ranges(parameters.shards)]
        self.checkers = [watcher(self) for watcher in watchers]
        self.convergence = checkers.Convergence(self)
        self.clients: list[Client] = []

    # Hosts.

    def host(self, number: int) -> SimHost:
        return self.hosts[number - 1]

    def host_at(self, ip: str) -> SimHost | None:
        return next((host for host in self.hosts if host.ip == ip), None)

    def running(self) -> Iterator[Process]:
        """Processes that live and are not frozen."""
        for host in self.hosts:
            process = host.running()
            if process is not None:
                yield process

    def name_of(self, node_id: str) -> str:
        """The host of a node, for messages."""
        return self.trace.names.get(node_id, node_id)

    def is_healthy(self, host: SimHost) -> bool:
        """Whether a host takes part fully: it runs, without stuttering, and no path to or from it is blocked.

        After a cut, connections take a moment to go on (RESEND_MAX_US); an election does not wait for them.
        """
        recent_us = self.parameters.node_timeout_ms * MS
        affected = self.network.is_affected(host.number, recent_us)
        stuttered = self.timeline.now_us < host.stutters_until_us + recent_us
        return host.running() is not None and not affected and not stuttered

    # The phases.

    def form(self) -> None:
        """Start all nodes with the same configuration on disk, and wait until they agree."""
        for host, text in zip(self.hosts, formation.config_files(self.parameters, self.rng), strict=True):
            host.disk.synced(text)
            self.boot(host)
        self.recover(START_LIMIT_US)

    def start_clients(self) -> None:
        for number in range(self.parameters.clients):
            rng = source(self.parameters.seed, f"client {number}")
            client = Client(self, rng, self.slots, self.parameters.client_pause_us)
            self.clients.append(client)
            client.write()

    def strike(self, plan: Iterable[Fault]) -> None:
        """Let these faults happen, each in its time, and wait until the last is over."""
        last_us = self.timeline.now_us
        for fault in plan:
            self.timeline.at(fault.at_us, self._begin, fault)
            self.timeline.at(fault.at_us + fault.lasts_us, self._end, fault)
            last_us = max(last_us, fault.at_us + fault.lasts_us)
        self.timeline.run_until(last_us + 1)

    def _begin(self, fault: Fault) -> None:
        self.trace.story(self.timeline.now_us, "!", f"{fault}")
        fault.begin(self)

    def _end(self, fault: Fault) -> None:
        self.trace.story(self.timeline.now_us, "!", f"{fault}: over")
        fault.end(self)

    def recover(self, limit_us: int) -> int:
        """Wait until everybody agrees and all is well; Violation after the limit. How long it took."""
        began_us = self.timeline.now_us
        while self.convergence.disagreement() is not None:
            if self.timeline.now_us - began_us > limit_us:
                self.convergence.at_end()
            self.timeline.run_until(self.timeline.now_us + LOOK_US)
        return self.timeline.now_us - began_us

    def finish(self) -> None:
        """All faults are over: heal, and let everybody judge."""
        self.recover(recovery_limit_us(self.parameters))
        for client in self.clients:
            client.stopped = True
        # What happened just before the end of the faults may only be noticed now, and needs healing too.
        self.timeline.run_until(self.timeline.now_us + 2 * SECOND)
        self.recover(recovery_limit_us(self.parameters))
        for checker in self.checkers:
            checker.at_end()

    # What faults do.

    def boot(self, host: SimHost) -> None:
        if host.process is not None:
            return
        process = host.boot()
        self.trace.names[process.id] = host.name
        self.story(host, "started")
        for checker in self.checkers:
            checker.booted(process)

    def kill(self, host: SimHost, power: bool = False) -> None:
        process = host.process
        if process is None:
            return
        kept = self._kept_data(process, power)
        host.saved = kept
        lost = process.store.data.keys() - kept.data.keys()
        if lost:
            for checker in self.checkers:
                checker.losing(host, lost)
        process.end(power)
        self.story(host, "lost its power" if power else "was killed")

    def _kept_data(self, process: Process, power: bool) -> Image:
        match self.parameters.persistence:
            case "none":
                return EMPTY
            case "everysec" if power:
                return process.store.image_of_last_sync()
            case _:
                return process.store.image()

    def move(self, hosts: list[SimHost]) -> None:
        """Give hosts on which nothing runs other addresses: half of the time new ones, else each that of another."""
        hosts = [host for host in hosts if host.process is None]
        addresses = [host.ip for host in hosts]
        if len(hosts) > 1 and self.rng.random() < 0.5:
            addresses = addresses[1:] + addresses[:1]
        else:
            addresses = [host.new_address() for host in hosts]
        for host, address in zip(hosts, addresses, strict=True):
            host.ip = address
            self.story(host, f"is at {address} now")
        self.network.hosts = {host.ip: host for host in self.hosts}

    def freeze(self, host: SimHost) -> None:
        if host.process is not None:
            host.process.frozen += 1

    def thaw(self, host: SimHost) -> None:
        if host.process is not None and host.process.frozen:
            host.process.thaw()

    def stutter(self, host: SimHost, until_us: int) -> None:
        """Let the process that runs at this host stall again and again, until then."""
        host.stutters_until_us = max(host.stutters_until_us, until_us)
        if self.timeline.now_us >= until_us:
            return
        shortest_us, longest_us = STALL_US
        stall_us = self._stutters.randrange(shortest_us, longest_us)
        process = host.process
        self.freeze(host)
        self.timeline.after(stall_us, self._stall_is_over, host, process)
        self.timeline.after(stall_us + int(self._stutters.random() * 4 * stall_us), self.stutter, host, until_us)

    def _stall_is_over(self, host: SimHost, process: Process | None) -> None:
        if host.process is process:
            self.thaw(host)

    def stop(self, host: SimHost) -> None:
        """SIGTERM: the process hands over, if somebody can take its place, and ends."""
        process = host.running()
        if process is not None and process.hand_over():
            self._wait_for_hand_over(process, self.timeline.now_us + HAND_OVER_LIMIT_US)
        else:
            self.kill(host)

    def _wait_for_hand_over(self, process: Process, until_us: int) -> None:
        if not process.alive:
            return
        if process.core.myself.is_replica or self.timeline.now_us >= until_us:
            self.kill(process.host)
        else:
            self.timeline.after(HAND_OVER_LOOK_US, self._wait_for_hand_over, process, until_us)

    def ask_for_failover(self, host: SimHost) -> None:
        """CLUSTER FAILOVER, which a primary refuses."""
        if host.running() is None or host.process is None:
            return
        try:
            host.process.do("failover", [])
        except ClusterError as error:
            self.story(host, f"refuses CLUSTER FAILOVER: {error}")

    def full_sync_us(self) -> int:
        """How long a full synchronisation takes."""
        return int((0.02 + self.rng.random()) * 500) * MS

    # What processes tell.

    def story(self, host: SimHost, text: str) -> None:
        self.trace.story(self.timeline.now_us, host.name, text)

    def serving_changed(self, process: Process) -> None:
        if self.trace.telling:
            serves = process.accepted_slots()
            self.story(process.host, f"serves {serves.bit_count()} slots")
        for checker in self.checkers:
            checker.serving_changed(process)

    def sending(self, process: Process, end: End, packet: bytes) -> None:
        for checker in self.checkers:
            checker.sending(process, end, packet)

    def accepted(self, process: Process, write: Write) -> None:
        for checker in self.checkers:
            checker.accepted(process, write)


def recovery_limit_us(parameters: Parameters) -> int:
    """Within what time a healed cluster must be well: verdicts expire, elections are repeated, replicas synchronise."""
    return (10 * parameters.node_timeout_ms + 20_000) * MS


def run(parameters: Parameters, tell: Callable[[str], None] | None = None, plan: list[Fault] | None = None) -> Outcome:
    """One seed, from its first to its last moment. `plan`: other faults than the seed's."""
    world = World(parameters, tell=tell)
    problem = ""
    try:
        world.form()
        if plan is None:
            plan = plan_of(parameters, world.timeline.now_us)
        world.start_clients()
        world.strike(plan)
        world.finish()
    except checkers.Violation as violation:
        problem = str(violation)
    except Exception:
        problem = f"crash: {traceback.format_exc()}"
    if problem:
        world.trace.story(world.timeline.now_us, "!", problem)
    return Outcome(
        parameters.seed,
        world.trace.digest,
        problem,
        len(world.ledger.acked),
        world.timeline.steps,
        [f"{fault.at_us / SECOND:.3f} {fault}" for fault in plan or ()],
    )


def plan_of(parameters: Parameters, begins_us: int) -> list[Fault]:
    """The faults that a seed stands for."""
    return draw_plan(parameters, source(parameters.seed, "faults"), begins_us)
