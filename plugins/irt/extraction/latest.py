"""The latest responses of all shards, without holding them all in memory."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from irt.extraction.scratch import Scratch


class Latest:
    """Keeps the responses of each shard in a temporary file until it is known which are the latest of all.

    :param most: keep at most this many: by `completed_at`, and by `id` where that is equal.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._stored, self._times = Scratch(), Scratch()
        # Where the responses of a shard are, and how many bytes and rows they have.
        self._shards: list[tuple[int, int, int]] = []
        self.left_out = 0

    def __enter__(self) -> Latest:
        return self

    def __exit__(self, *_: Any) -> None:
        self._stored.close()
        self._times.close()

    def add(self, responses: pa.Table) -> None:
        """Take the responses of the next shard.

        :raise TransientError: the disk of the temporary folder is full; names the folder.
        """
        packed = pa.BufferOutputStream()
        with pa.ipc.new_stream(packed, responses.schema) as writer:
            writer.write_table(responses)
        content = packed.getvalue()
        self._shards.append((self._stored.append(content), content.size, len(responses)))
        # Sorted, so that a search finds how many are later than a moment.
        self._times.append(np.sort(_times(responses)))

    def choose(self) -> None:
        """Choose the responses to keep, of all that were added; `left_out` is the number of the others."""
        sizes = [rows for *_, rows in self._shards]
        self.left_out = max(0, sum(sizes) - self._most)
        if self.left_out:
            times = np.split(self._times.mapped(np.int64), np.cumsum(sizes)[:-1])
            self._since = _most_th(times, self._most)
            self._kept_ties = self._ties(self._most - _count(times, self._since + 1))

    def read(self, shard: int) -> pa.Table:
        """The responses of a shard that are kept, in the same order."""
        responses = self._all(shard)
        if not self.left_out:
            return responses
        times = _times(responses)
        kept = times > self._since
        kept[np.flatnonzero(times == self._since)[self._kept_ties[shard]]] = True
        return responses.filter(pa.array(kept))

    def _ties(self, most: int) -> list[np.ndarray]:
        """Per shard, which of its responses at the earliest kept time are kept, as their places among these."""
        tied = []
        for shard in range(len(self._shards)):
            responses = self._all(shard)
            ids = responses["id"].filter(pa.array(_times(responses) == self._since)).combine_chunks()
            place = pa.array(np.arange(len(ids)))
            tied.append(pa.table({"shard": pa.array(np.full(len(ids), shard)), "place": place, "id": ids}))
        together = pa.concat_tables(tied)
        chosen = together.take(pc.sort_indices(together, [("id", "descending")])[:most])
        shards, places = chosen["shard"].to_numpy(), chosen["place"].to_numpy()
        return [places[shards == shard] for shard in range(len(self._shards))]

    def _all(self, shard: int) -> pa.Table:
        place, size, _ = self._shards[shard]
        content = np.empty(size, np.uint8)
        self._stored.read(place, content.data)
        return pa.ipc.open_stream(content).read_all().combine_chunks()


def _most_th(times: list[np.ndarray], most: int) -> int:
    """The time of the earliest of this many responses, the latest ones.

    :param times: sorted.
    """
    known = [each for each in times if len(each)]
    first, last = min(int(each[0]) for each in known), max(int(each[-1]) for each in known)
    while first < last:
        middle = (first + last + 1) // 2
        first, last = (middle, last) if _count(times, middle) >= most else (first, middle - 1)
    return first


def _count(times: list[np.ndarray], since: int) -> int:
    """How many responses there are at this time or later."""
    return sum(len(each) - int(np.searchsorted(each, since)) for each in times)


def _times(responses: pa.Table) -> np.ndarray:
    times: np.ndarray = responses["completed_at"].cast(pa.int64()).to_numpy()
    return times
