"""Fields that monitoring tools look for, of what does not exist here: always 0."""

from __future__ import annotations

from node.monitoring.figure import Figure, Table, shown


def _zero(section: str, field: str, why: str, after: str = "") -> Figure[object]:
    return shown(section, field, lambda own: 0, f"Always 0: {why}.", after=after)


DEFRAGMENTATION = "data is not moved to fill holes"
FORKS = "nothing forks"
TRACKING = "keys are not tracked"
THREADS = "no threads serve clients"
FIXED_BUFFERS = "buffers grow as needed"
RULES = "there are no rules for users"


def figures() -> Table[object]:
    return (
        _zero("memory", "active_defrag_running", DEFRAGMENTATION, after="mem_allocator"),
        _zero("stats", "expire_cycle_cpu_milliseconds", "it is not measured", after="expired_time_cap_reached_count"),
        _zero("stats", "latest_fork_usec", FORKS, after="pubsubshard_channels"),
        _zero("stats", "active_defrag_hits", DEFRAGMENTATION, after="slave_expires_tracked_keys"),
        _zero("stats", "active_defrag_misses", DEFRAGMENTATION),
        _zero("stats", "active_defrag_key_hits", DEFRAGMENTATION),
        _zero("stats", "active_defrag_key_misses", DEFRAGMENTATION),
        _zero("stats", "total_active_defrag_time", DEFRAGMENTATION),
        _zero("stats", "current_active_defrag_time", DEFRAGMENTATION),
        _zero("stats", "tracking_total_keys", TRACKING),
        _zero("stats", "tracking_total_items", TRACKING),
        _zero("stats", "tracking_total_prefixes", TRACKING),
        _zero("stats", "io_threaded_reads_processed", THREADS, after="total_writes_processed"),
        _zero("stats", "io_threaded_writes_processed", THREADS),
        _zero("stats", "reply_buffer_shrinks", FIXED_BUFFERS),
        _zero("stats", "reply_buffer_expands", FIXED_BUFFERS),
        _zero("stats", "acl_access_denied_cmd", RULES, after="acl_access_denied_auth"),
        _zero("stats", "acl_access_denied_key", RULES),
        _zero("stats", "acl_access_denied_channel", RULES),
    )
