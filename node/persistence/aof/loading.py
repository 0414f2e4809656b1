"""Loading the append-only files: the base, then the increments, as they stand in the manifest.

A base may be a snapshot, or begin with one; everything else is commands. They run in a session of their own that no
gate stops, in slices, so that the host can do something else in between. Keys whose time is over count as alive
meanwhile: a later command of the file may have been meant for them.

The last file may end within a command, when the machine died while it was written: it is cut back to its last whole
command if aof-load-truncated allows. A file that ends so and is not the last, a missing file, or something that is no
command, ends the loading; nobody can know what was meant.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from node import flags
from node.basics import Basics
from node.engine.durable.replay import Replay
from node.engine.session.session import Session
from node.persistence.aof.manifest import BadManifest, Manifest, Part
from node.persistence.aof.parts import Parts
from node.persistence.loading import Loader, Loading
from node.persistence.rdb import opcodes
from node.ports.aof_files import error_text
from node.ports.steps import CannotLoad, Steps

if TYPE_CHECKING:
    from node.persistence.rdb.load import Data

PIECE_BYTES = 64 * 1024
MEND = "make a backup of your AOF file, then use shardis check-aof --fix <filename.manifest>"


class AofLoading:
    """Loads the append-only files, one time or many. `steps` does it, a slice at a time; CannotLoad says why not."""

    def __init__(self, basics: Basics, parts: Parts, loading: Loading, loader: Loader) -> None:
        self.basics = basics
        self.parts = parts
        self._loading = loading
        self._loader = loader
        self._before_bytes = 0
        """How many bytes the files have that are through."""

    def steps(self) -> Steps[None]:
        """All of it; ends with CannotLoad if that cannot be."""
        loading = self._loading
        self._before_bytes = 0
        try:
            manifest = self._manifest()
            total = self._total(manifest)
            loading.begin(total)
            for part in manifest.parts if total else ():
                yield from self._file(part, part is manifest.parts[-1])
        except OSError as error:
            raise CannotLoad(f"Fatal error: can't read the append only file: {error_text(error)}") from error
        finally:
            loading.end()

    def look(self) -> Manifest:
        """The manifest alone: where to go on once appendonly is switched on."""
        try:
            return self.parts.read()
        except BadManifest as error:
            self.basics.log.warning("*** FATAL AOF MANIFEST FILE ERROR ***")
            if error.line:
                self.basics.log.warning(f"Reading the manifest file, at line {error.number}")
                self.basics.log.warning(f">>> '{error.line}'")
            raise CannotLoad(str(error)) from error

    def _manifest(self) -> Manifest:
        """What is on disk, after an old-style file has been taken over."""
        parts, manifest = self.parts, self.look()
        old = parts.prefix
        only_old = manifest.base is not None and manifest.base.name == old and not manifest.increments
        if parts.files.exists(old) and (not manifest.parts or (only_old and not parts.files.exists(parts.path(old)))):
            parts.adopt(old)
        return parts.manifest

    def _total(self, manifest: Manifest) -> int:
        total = 0
        for part in manifest.parts:
            try:
                total += self.parts.files.size(self.parts.path(part.name))
            except OSError as error:
                why = f"Unable to obtain the AOF file {part.name} length. stat: {error_text(error)}"
                raise CannotLoad(why) from error
        return total

    def _file(self, part: Part, last: bool) -> Steps[None]:
        basics, started_us = self.basics, self.basics.clock.now_us()
        data = self.parts.files.map(self.parts.path(part.name))
        if len(data):
            cut = yield from self._contents(part, data)
            if cut and not last:
                raise CannotLoad("Fatal error: the truncated file is not the last file")
        self._before_bytes += len(data)
        kind = "base" if part.kind == "b" else "incr"
        took_s = (basics.clock.now_us() - started_us) / 1e6
        basics.log.notice(f"DB loaded from {kind} file {part.name}: {took_s:.3f} seconds")

    def _contents(self, part: Part, data: Data) -> Steps[bool]:
        """True if the end of the file was cut off."""
        at = 0
        if data[: len(opcodes.MAGIC)] == opcodes.MAGIC:
            at = yield from self._snapshot(part, data)
        return (yield from self._commands(part, data, at))

    def _snapshot(self, part: Part, data: Data) -> Steps[int]:
        """Load the snapshot that the file begins with; where it ends."""
        log = self.basics.log
        old = part.name == self.parts.prefix
        log.notice("Reading RDB preamble from AOF file..." if old else "Reading RDB base file on AOF loading...")
        try:
            loaded = yield from self._loader.rdb(data, preamble=True, keep_dead=True)
        except CannotLoad as error:
            what = "RDB preamble of the AOF" if old else "RDB base"
            log.warning(f"Error reading the {what} file {part.name}, AOF loading aborted")
            raise CannotLoad(f"Unrecoverable error reading the append only file {part.name}: {error}") from error
        if old:
            log.notice("Reading the remaining AOF tail...")
        return loaded.end

    def _commands(self, part: Part, data: Data, at: int) -> Steps[bool]:
        """True if the end of the file was cut off."""
        replay, engine, errors = Replay(self._session(), at), self.basics.engine, 0
        piece_bytes = PIECE_BYTES
        while at < len(data):
            end = min(at + piece_bytes, len(data))
            errors -= engine.errors  # which clients cause, too, while they are told that the node is loading
            with alone(self.basics):
                used = replay.feed(bytes(data[at:end]))
            errors += engine.errors
            self._check(part, replay)
            if not used and end == len(data):
                break
            # A request that does not fit into a piece is looked at again in larger ones.
            piece_bytes = PIECE_BYTES if used else 2 * piece_bytes
            at += used
            self._loading.loaded_bytes = self._before_bytes + at
            yield replay.take_count()
        if errors:
            self.basics.log.warning(f"{errors} commands of {part.name} ended with an error")
        if at == len(data) and not replay.in_transaction:
            return False
        if replay.in_transaction:
            self.basics.log.warning(f"Revert incomplete MULTI/EXEC transaction in AOF file {part.name}")
        self._cut(part, replay.good)
        return True

    def _check(self, part: Part, replay: Replay) -> None:
        if replay.unknown is not None:
            name = replay.unknown.decode("utf-8", "replace")
            raise CannotLoad(f"Unknown command '{name}' reading the append only file {part.name}")
        if replay.malformed:
            raise CannotLoad(
                f"Bad file format reading the append only file {part.name}: {MEND} (what is before byte {replay.good} "
                "is good)"
            )

    def _cut(self, part: Part, size: int) -> None:
        log = self.basics.log
        if not self.basics.config["aof-load-truncated"]:
            raise CannotLoad(
                f"Unexpected end of file reading the append only file {part.name}. You can: 1) {MEND.capitalize()}. 2) "
                "Alternatively you can set the 'aof-load-truncated' configuration option to yes and restart the server."
            )
        log.warning(f"!!! Warning: short read while loading the AOF file {part.name}!!!")
        log.warning(f"!!! Truncating the AOF {part.name} at offset {size} !!!")
        self.parts.files.truncate(self.parts.path(part.name), size)
        log.warning(f"AOF {part.name} loaded anyway because aof-load-truncated is enabled")

    def _session(self) -> Session:
        session = Session(self.basics.engine, self.basics.space.dbs[0], 0, b"", b"")
        session.flags |= flags.LOG
        session.user = b"default"
        return session


@contextmanager
def alone(basics: Basics) -> Iterator[None]:
    """What the file says is done as it stands: no gate, no limit, no expiry, no stream of writes, no statistics."""
    engine, space = basics.engine, basics.space
    kept = engine.states, engine.maxmemory, engine.propagating, engine.slow_ns, engine.latency_ns
    alive = space.lazy_expire, space.show_dead
    processed, read_only = engine.processed, engine.read_only
    engine.states, engine.maxmemory, engine.propagating = 0, 0, False
    engine.slow_ns, engine.latency_ns, engine.read_only = -1, 0, False
    space.lazy_expire, space.show_dead = False, True
    try:
        yield
    finally:
        engine.states, engine.maxmemory, engine.propagating, engine.slow_ns, engine.latency_ns = kept
        space.lazy_expire, space.show_dead = alive
        engine.processed, engine.read_only = processed, read_only
