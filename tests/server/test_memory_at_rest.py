"""What a node that has no data takes, and what it does not load for it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.servers import ROOT, Fleet

REST_MIB = 35.0


def test_a_node_at_rest_is_small_and_has_not_loaded_openssl(fleet: Fleet) -> None:
    node = fleet.ours(cluster_enabled="yes")
    lines = Path(f"/proc/{node.pid}/smaps_rollup").read_text().splitlines()
    resident_kib = next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))
    assert resident_kib / 1024 < REST_MIB
    loaded = Path(f"/proc/{node.pid}/maps").read_text()
    assert "libcrypto" not in loaded
    assert "libssl" not in loaded


def test_whoever_needs_openssl_later_finds_it() -> None:
    code = (
        "from node.aio import lean_imports; lean_imports.run();"
        "import ssl, hashlib, uvloop; assert ssl.OPENSSL_VERSION and ssl.create_default_context();"
        "print(hashlib.sha1(b'x').hexdigest())"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "11f6ad8ec52a2984abaafd7c3b516503785c2072"
