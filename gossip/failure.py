"""Is a node alive? Suspicion, reports, verdicts and pardons, as functions of what is known.

The theory is that of the Redis Cluster specification, section "Failure detection". Silence for longer than the node
timeout makes us *suspect* a node (PFAIL), which only we believe. Suspicions travel in gossip; each primary's is a
report, good for twice the node timeout. When we suspect a node and a majority of the primaries that own slots (we count
ourselves if we are a primary) report it, it has *failed* (FAIL), which we tell everybody.

Any traffic from a node proves that it lives, so that a connection busy with something else than PONGs is no reason for
suspicion. A node that could not be connected to counts as pinged: otherwise a dead host that refuses connections, and
therefore never has a PING outstanding, would never be suspected.

A dead process is found sooner, by evidence. However it ended, its kernel closes its connections and refuses new ones,
which those of a frozen process, a lost host or a broken network do not. So a peer that ended a link on which it had
answered, and that refuses us twice since, with some time between, is suspected at once. One ended link says nothing,
and one refusal might be a process that is just being replaced. For a verdict the majority must find the same.

A verdict outlives its reasons. It is lifted when the node answers again, at once if it has no slots to lose; if it has,
only after long enough for a replica to have taken over, because until then both might serve; unless it has no replica.
"""

from __future__ import annotations

from enum import Enum

from gossip import flags
from gossip.effects import Closed
from gossip.peer import Link, Peer

CONFIRM_MS = 40
CONNECT_TIMEOUT_MS = 1000
REPORT_LIFETIME_MULT = 2
PARDON_AFTER_MULT = 2


def silent_for_ms(peer: Peer, now_ms: int) -> int:
    """For how long an answer is overdue; 0 when none is expected."""
    return now_ms - last_heard_ms(peer) if peer.ping_sent_ms else 0


def last_heard_ms(peer: Peer) -> int:
    """When the silence began that counts while an answer is expected."""
    return max(peer.ping_sent_ms, peer.data_received_ms)


def overdue_ms(peer: Peer, node_timeout_ms: int) -> int:
    """When the silence is long enough for suspicion. Others who still hear it earn it one timeout more at most."""
    vouched_ms = min(peer.vouched_ms, last_heard_ms(peer) + node_timeout_ms)
    return max(last_heard_ms(peer), vouched_ms) + node_timeout_ms


def is_overdue(peer: Peer, now_ms: int, node_timeout_ms: int) -> bool:
    """Whether the silence is long enough for suspicion."""
    return peer.ping_sent_ms > 0 and now_ms > overdue_ms(peer, node_timeout_ms)


def forgive(peer: Peer, pause_ms: int, now_ms: int) -> None:
    """We did nothing for so long: an answer that is expected is due later by that."""
    if peer.ping_sent_ms:
        peer.ping_sent_ms = min(last_heard_ms(peer) + pause_ms, now_ms)


def link_dead_ms(peer: Peer, link: Link, node_timeout_ms: int) -> int:
    """When to try a new connection, in case only the present one is broken, while an answer is expected.

    A kernel that gets no answer to its attempts waits ever longer between them, so one that takes long is repeated. An
    open link is dead when the peer has been silent for half the timeout (as in Redis), or when our PING has not been
    answered for all of it, whatever comes in on other links.
    """
    if not link.established:
        return link.created_ms + max(node_timeout_ms // 2, CONNECT_TIMEOUT_MS)
    silent_ms = min(last_heard_ms(peer) + node_timeout_ms // 2, peer.ping_sent_ms + node_timeout_ms)
    return max(silent_ms, link.created_ms + node_timeout_ms)


def link_ended(peer: Peer, reason: Closed, now_ms: int) -> None:
    """A link ended on which `peer` had answered. Its doing, if it was not ours."""
    if reason in (Closed.EOF, Closed.RESET):
        peer.lost_ms = peer.lost_ms or now_ms


def connection_failed(peer: Peer, reason: Closed, now_ms: int) -> None:
    """A connection to `peer` did not come about."""
    if reason is not Closed.REFUSED:
        peer.refused_ms = 0
        return
    peer.refused_ms = peer.refused_ms or now_ms
    peer.refused_again = peer.lost_ms > 0 and now_ms - peer.refused_ms >= CONFIRM_MS


def is_gone(peer: Peer) -> bool:
    """Whether there is evidence that the process is dead."""
    return peer.refused_ms > 0 and peer.refused_again


def acquit(peer: Peer) -> None:
    """`peer` has answered: whatever its connections did, it lives."""
    peer.lost_ms = peer.refused_ms = 0
    peer.refused_again = False


def add_report(failing: Peer, reporter: Peer, now_ms: int) -> bool:
    """Record that `reporter` cannot reach `failing`; True if that is news."""
    news = reporter.id not in failing.reports
    failing.reports[reporter.id] = now_ms
    return news


def drop_report(peer: Peer, reporter: Peer) -> bool:
    """Record that `reporter` can reach `peer`; True if it could not before."""
    return peer.reports.pop(reporter.id, None) is not None


def count_reports(peer: Peer, now_ms: int, node_timeout_ms: int) -> int:
    """How many primaries report `peer`, forgetting reports that are too old."""
    if peer.reports:
        oldest_ms = now_ms - node_timeout_ms * REPORT_LIFETIME_MULT
        for reporter in [r for r, at_ms in peer.reports.items() if at_ms < oldest_ms]:
            del peer.reports[reporter]
    return len(peer.reports)


class Verdict(Enum):
    FAILED = "a majority cannot reach it"
    REACHABLE = "we can reach it"
    ALREADY_FAILED = "it has been declared failed before"
    NO_MAJORITY = "too few primaries report it"


def judge(peer: Peer, reports: int, *, quorum: int, i_vote: bool) -> Verdict:
    """Whether `peer` is now to be declared failed, and if not, why not."""
    if not peer.suspected:
        return Verdict.ALREADY_FAILED if peer.failed else Verdict.REACHABLE
    if peer.failed:
        return Verdict.ALREADY_FAILED
    if reports + i_vote < quorum:
        return Verdict.NO_MAJORITY
    return Verdict.FAILED


class Pardon(Enum):
    """Why a failed node that answers again is no longer failed; DENIED when it still is."""

    REPLICA = "is reachable again (a replica)"
    NO_SLOTS = "is reachable again (a primary without slots)"
    NO_SUCCESSOR = "is reachable again and has no replica to take its slots over"
    NOT_REPLACED = "is reachable again and nobody took its slots over"
    DENIED = "its replicas may still be taking over"


def consider_pardon(peer: Peer, now_ms: int, node_timeout_ms: int) -> Pardon:
    """What to do about a failed node that has just answered."""
    if peer.is_replica:
        return Pardon.REPLICA
    if not peer.slot_count:
        return Pardon.NO_SLOTS
    if all(replica.flags & (flags.FAILING | flags.NOFAILOVER) for replica in peer.replicas):
        return Pardon.NO_SUCCESSOR
    if now_ms - peer.fail_ms > node_timeout_ms * PARDON_AFTER_MULT:
        return Pardon.NOT_REPLACED
    return Pardon.DENIED
