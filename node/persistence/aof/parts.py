"""The files on disk that the manifest of one node lists, and the manifest itself.

A manifest counts once it is on disk; files that it does not need any more are deleted after that.
"""

from __future__ import annotations

from node.config import Config
from node.monitoring.log import Log
from node.persistence.aof.manifest import Manifest, parse
from node.ports.aof_files import AofFiles, error_text


class Parts:
    """The files of one node."""

    def __init__(self, config: Config, log: Log, files: AofFiles) -> None:
        self._config = config
        self._log = log
        self.files = files
        self.manifest = Manifest()

    # -- names

    @property
    def prefix(self) -> str:
        return str(self._config["appendfilename"])

    def path(self, name: str) -> str:
        return f"{self._config['appenddirname']}/{name}"

    @property
    def temporary(self) -> str:
        """What is written during a first rewrite, until that has ended well."""
        return f"temp-{self.prefix}.incr"

    # -- the manifest

    def read(self) -> Manifest:
        """As it is on disk, empty if there is none; raises BadManifest or OSError."""
        name = self.path(f"{self.prefix}.manifest")
        self.manifest = parse(self.files.read(name)) if self.files.exists(name) else Manifest()
        return self.manifest

    def persist(self, manifest: Manifest) -> None:
        """Only what is on disk counts."""
        if manifest != self.manifest or not self.files.exists(self.path(f"{self.prefix}.manifest")):
            draft = self.path(f"temp-{self.prefix}.manifest")
            self.files.replace(self.path(f"{self.prefix}.manifest"), draft, [manifest.text()])
        self.manifest = manifest

    def adopt(self, name: str) -> None:
        """Upgrade from a single file, as servers before Redis 7 kept it: it becomes the base."""
        self.files.make_folder(self._config["appenddirname"])
        self.persist(Manifest().with_base(name, 1))
        self.files.rename(name, self.path(name))
        self._log.notice(
            f"Successfully migrated an old-style AOF file ({name}) into the AOF directory "
            f"({self._config['appenddirname']})."
        )

    def delete_history(self) -> None:
        """Files that nobody needs any more, unless aof-disable-auto-gc keeps them."""
        if self._config["aof-disable-auto-gc"] or not self.manifest.history:
            return
        history = self.manifest.history
        try:
            self.persist(self.manifest.without_history())
        except OSError as error:
            self._log.warning(f"Cannot write the AOF manifest: {error_text(error)}")
            return
        for part in history:
            self._log.notice(f"Removing the history file {part.name} in the background")
            self.files.remove_later(self.path(part.name))
