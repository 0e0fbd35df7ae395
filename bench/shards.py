"""Large banks, drawn shard by shard, so that neither drawing nor reading needs memory for all answers."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

# Users of one shard: 10 million answers at 50 each.
_USERS_OF_SHARD = 200_000


@dataclass(frozen=True)
class LargeCase:
    """`users` who each gave `answers` to some of the `items`, in shards of 200,000 users."""

    name: str
    users: int
    items: int = 5_000
    answers: int = 50
    seed: int = 1

    @property
    def size(self) -> int:
        return self.users * self.answers

    @property
    def shards(self) -> int:
        return max(1, self.users // _USERS_OF_SHARD)

    def __str__(self) -> str:
        each = f"{self.users:,} × {self.items:,} {self.answers} each, 2PL"
        return f"{each}, {self.size:,} answers in {self.shards} shards"


LARGE_CASES = {
    case.name: case
    for case in (
        LargeCase("10M-shards", 200_000),
        LargeCase("100M", 2_000_000),
        LargeCase("300M", 6_000_000),
        LargeCase("1G", 20_000_000),
    )
}


def write_shards(case: LargeCase, folder: Path, processes: int) -> Path:
    """The folder with the case's shards; what an earlier call wrote is kept."""
    target = folder / case.name
    target.mkdir(parents=True, exist_ok=True)
    missing = [k for k in range(case.shards) if not _path(target, case, k).exists()]
    with ProcessPoolExecutor(processes) as pool:
        list(pool.map(_write, [case] * len(missing), [target] * len(missing), missing))
    return target


def _path(target: Path, case: LargeCase, shard: int) -> Path:
    return target / f"answers-{shard + 1:05d}-of-{case.shards:05d}.parquet"


def _write(case: LargeCase, target: Path, shard: int) -> None:
    """The users of a shard are not neighbours in the order of their ids, as if they were parted by a hash."""
    truth, rng = np.random.default_rng(case.seed), np.random.default_rng([case.seed, shard])
    a, b = truth.lognormal(0.0, 0.3, case.items), truth.normal(size=case.items)
    users = np.arange(shard, case.users, case.shards)
    item = _distinct(rng, users.size, case.items, case.answers)
    theta = rng.normal(size=users.size)
    right = rng.random(item.shape) < 1.0 / (1.0 + np.exp(-a[item] * (theta[:, None] - b[item])))
    width = len(str(case.users))
    names = pa.array([f"u{user:0{width}d}" for user in users.tolist()])
    row = np.repeat(np.arange(users.size, dtype=np.int32), case.answers)
    table = pa.table(
        {
            "user_id": pa.DictionaryArray.from_arrays(row, names),
            "item_id": pa.DictionaryArray.from_arrays(item.ravel(), [f"q{j:05d}" for j in range(case.items)]),
            "is_correct": right.ravel(),
        }
    )
    path = _path(target, case, shard)
    draft = path.with_suffix(".draft")
    pq.write_table(table, draft, compression="zstd", row_group_size=2_000_000)
    draft.rename(path)


def _distinct(rng: np.random.Generator, n_users: int, n_items: int, answers: int) -> np.ndarray:
    """Different items for each user, ascending: (users, answers) int32."""
    item = rng.integers(0, n_items, (n_users, answers), np.int32)
    again = np.arange(n_users)
    while again.size:
        item[again] = np.sort(item[again], axis=1)
        again = again[(np.diff(item[again], axis=1) == 0).any(axis=1)]
        item[again] = rng.integers(0, n_items, (again.size, answers), np.int32)
    return item
