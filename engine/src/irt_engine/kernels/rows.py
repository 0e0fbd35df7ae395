"""Answers as rows of persons: counting sort by person, order within a person, duplicates."""

from __future__ import annotations

import numpy as np

from irt_engine.kernels.jit import kernel, part


@kernel
def row_offsets(person, n_persons):
    """Where each person's answers start: `person` (n,) int32 -> (N + 1,) int64."""
    offsets = np.zeros(n_persons + 1, np.int64)
    for i in range(person.size):
        offsets[person[i] + 1] += 1
    for p in range(n_persons):
        offsets[p + 1] += offsets[p]
    return offsets


@kernel
def fill_rows(person, item, right, offsets):
    """Answers ordered by person: `person`, `item` (n,) int32, `right` (n,) uint8 -> codes (n,) int32."""
    cursor = offsets[:-1].copy()
    codes = np.empty(person.size, np.int32)
    for i in range(person.size):
        p = person[i]
        codes[cursor[p]] = 2 * item[i] + right[i]
        cursor[p] += 1
    return codes


@kernel
def place_rows(user, place, item, number, right, cursor, codes):
    """Put the answers of a batch where their persons' answers lie.

    :param user: (m,) int32, as `item`: numbers within the batch; `right` (m,) uint8.
    :param place: number of each of the batch's users among all; `number` int32, of each of its items.
    :param cursor: (N,) int64, where each person's next answer goes; advanced.
    :param codes: (n,) int32, written.
    """
    for i in range(user.size):
        p = place[user[i]]
        codes[cursor[p]] = 2 * number[item[i]] + right[i]
        cursor[p] += 1


@kernel
def place_timed_rows(user, place, item, number, right, time, cursor, codes, times):
    """The same, with the times (m,) int64, put into `times` (n,)."""
    for i in range(user.size):
        p = place[user[i]]
        codes[cursor[p]] = 2 * number[item[i]] + right[i]
        times[cursor[p]] = time[i]
        cursor[p] += 1


@kernel
def renumber(part, parts, codes, rank):
    """Give each item the number rank[item], in place."""
    for k in range(part * codes.size // parts, (part + 1) * codes.size // parts):
        codes[k] = 2 * rank[codes[k] >> 1] + (codes[k] & 1)


@part
def _ascends(row):
    # Numba has no generators for `all`.
    for k in range(1, row.size):  # noqa: SIM110
        if row[k - 1] > row[k]:
            return False
    return True


@part
def _repeated(row):
    """Surplus answers to the same item, in a sorted row of codes."""
    surplus = 0
    for k in range(1, row.size):
        surplus += row[k - 1] >> 1 == row[k] >> 1
    return surplus


@kernel
def sort_timed_rows(part, parts, offsets, codes, times, surplus):
    """As `sort_rows`, with the times in the order of the codes."""
    n = offsets.size - 1
    for p in range(part * n // parts, (part + 1) * n // parts):
        row, own = codes[offsets[p] : offsets[p + 1]], times[offsets[p] : offsets[p + 1]]
        if not _ascends(row):
            order = np.argsort(row, kind="mergesort")
            row[:], own[:] = row[order], own[order]
        surplus[p] = _repeated(row)


@kernel
def sort_rows(part, parts, offsets, codes, surplus):
    """Order each person's codes in place; write the number of surplus answers per person to `surplus` (N,)."""
    n = offsets.size - 1
    for p in range(part * n // parts, (part + 1) * n // parts):
        row = codes[offsets[p] : offsets[p + 1]]
        if not _ascends(row):
            row.sort()
        surplus[p] = _repeated(row)


@kernel
def fill_times(part, parts, person, item, time, offsets, codes, times):
    """Write the times (n,) int64 in the order of the codes.

    :param person: (n,) int32, as `item`; `time` (n,) int64.
    :param codes: (n,) int32, sorted within each person, without surplus answers.
    """
    for i in range(part * time.size // parts, (part + 1) * time.size // parts):
        low, high = offsets[person[i]], offsets[person[i] + 1] - 1
        while low < high:
            middle = (low + high) // 2
            if codes[middle] >> 1 < item[i]:
                low = middle + 1
            else:
                high = middle
        times[low] = time[i]


@kernel
def item_counts(part, parts, codes, counts):
    """Answers and right answers per item among `codes` (n,) int32: (parts, J, 2) int64, zeros, written."""
    own = counts[part]
    for k in range(part * codes.size // parts, (part + 1) * codes.size // parts):
        j = codes[k] >> 1
        own[j, 0] += 1
        own[j, 1] += codes[k] & 1


@kernel
def person_counts(offsets, codes, keep):
    """Answers of each person to the items with `keep` (J,) bool -> (N,) int64."""
    counts = np.zeros(offsets.size - 1, np.int64)
    for p in range(offsets.size - 1):
        for k in range(offsets[p], offsets[p + 1]):
            counts[p] += keep[codes[k] >> 1]
    return counts


@kernel
def lengths_of_rows(part, parts, offsets, codes, persons, new_item, lengths):
    """How many answers `persons` (n,) int64 gave to items with `new_item` (J,) >= 0: `lengths` (n,) int64, written."""
    for i in range(part * persons.size // parts, (part + 1) * persons.size // parts):
        lengths[i] = 0
        for k in range(offsets[persons[i]], offsets[persons[i] + 1]):
            lengths[i] += new_item[codes[k] >> 1] >= 0


@kernel
def select_rows(part, parts, offsets, codes, persons, new_item, kept, out):
    """The answers that `lengths_of_rows` counts, with the items' new numbers.

    :param kept: (n + 1,) int64, where each person's answers start in `out` int32, which is written.
    """
    for i in range(part * persons.size // parts, (part + 1) * persons.size // parts):
        at = kept[i]
        for k in range(offsets[persons[i]], offsets[persons[i] + 1]):
            j = new_item[codes[k] >> 1]
            if j >= 0:
                out[at] = 2 * j + (codes[k] & 1)
                at += 1


@kernel
def select_times(part, parts, offsets, codes, persons, new_item, times, kept, out):
    """The times of the answers that `select_rows` selects, likewise."""
    for i in range(part * persons.size // parts, (part + 1) * persons.size // parts):
        at = kept[i]
        for k in range(offsets[persons[i]], offsets[persons[i] + 1]):
            if new_item[codes[k] >> 1] >= 0:
                out[at] = times[k]
                at += 1


@kernel
def copy_rows(part, parts, offsets, codes, persons, kept, out):
    """All answers of `persons` (n,) int64; other arguments as `select_rows`."""
    for i in range(part * persons.size // parts, (part + 1) * persons.size // parts):
        first = offsets[persons[i]]
        for k in range(kept[i], kept[i + 1]):
            out[k] = codes[first + k - kept[i]]
