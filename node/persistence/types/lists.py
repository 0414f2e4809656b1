"""Lists."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from node.engine.durable.rdb import Malformed, Reader
from node.engine.types.list import List
from node.persistence.types import kinds
from node.persistence.types.datatype import Argv, DataType, chunks, mix
from node.persistence.types.legacy import ziplist_elements
from node.persistence.types.reading import compact, native, not_empty, read_count


def _of(elements: Iterable[bytes]) -> List:
    value = List()
    for element in elements:
        value.push(element, False)
    return not_empty(value)


def _read_ziplists(r: Reader) -> List:
    elements: list[bytes] = []
    for node in [r.string() for _ in range(read_count(r))]:
        try:
            elements += ziplist_elements(node)
        except Malformed as error:
            raise Malformed(f"Ziplist integrity check failed: {error}") from error
    return _of(elements)


def _commands(key: bytes, value: List) -> Iterator[Argv]:
    return chunks([b"RPUSH", key], ([element] for element in value.range(0, -1)))


def _digest(digest: bytes, value: List) -> bytes:
    for element in value.range(0, -1):
        digest = mix(digest, element)
    return digest


READERS = {
    **native(kinds.LIST, kinds.LIST_NODES),
    kinds.LIST_ZIPLIST: compact("List ziplist", lambda data: _of(ziplist_elements(data))),
    kinds.LIST_ZIPLISTS: _read_ziplists,
}
LIST = DataType("list", List, READERS, _commands, _digest)
