"""Which attempts are answers: rapid guesses, items that were not reached, answers after a hint.

A person who answers faster than the item can be read does not show what they know (rapid guessing; Wise & Kong, 2005,
*Applied Measurement in Education* 18(2)). The rules apply in this order, and each attempt is counted by the first that
leaves it out:

1. attempts without user, item or correctness (while they are read, see `irt.extraction.attempts`);
2. answers after a hint, items not reached, rapid answers (here, once all attempts of the user are known, because the
   end of a session is only known then);
3. repeats: of the answers that remain, the first or the last;
4. `max_answers_per_user`, then `max_responses`: the latest.

So an answer that is left out never hides another one of the same user and item. The figures for the checks describe the
attempts that remain after 2.

A session is one of a user: if several users share its id, each has a session (see `irt.extraction.ids`).

A response time of 0 is unknown: views write it for an exam without times. It is never a rapid answer; but in a session
that has times, wrong answers at its end that took no time are items not reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

if TYPE_CHECKING:
    from irt.run import Run

# A single wrong answer at the end of a session is not a run.
_SHORTEST_RUN = 2


def leave_out(attempts: pa.Table, run: Run) -> tuple[pa.Table, dict[str, int]]:
    """Leave out what the bank's options do not count as an answer.

    :return: the attempts that remain, and how many each option left out.
    """
    found: dict[str, np.ndarray] = {}
    if run.hinted == "leave_out":
        found["hinted"] = pc.fill_null(attempts["hint_used"], False).to_numpy()
    if run.not_reached == "leave_out":
        found["not_reached"] = not_reached(attempts, run.min_response_ms, in_order=knows_order(run))
    if run.min_response_ms:
        found["rapid"] = _rapid(attempts, run.min_response_ms)
    out, counts = np.zeros(len(attempts), bool), dict.fromkeys(("hinted", "not_reached", "rapid"), 0)
    for name, rows in found.items():
        counts[name] = int(np.count_nonzero(rows & ~out))
        out |= rows
    return (attempts.filter(pa.array(~out)) if out.any() else attempts), counts


def knows_order(run: Run) -> bool:
    """Whether the order of answers of the same moment is known: exams store it, the ids of a view may be hashes."""
    return run.source == "exam_results"


def effort_figures(attempts: pa.Table, rapid_ms: int, *, in_order: bool) -> dict[str, int]:
    """Figures for the checks `rapid_answers` and `not_reached`.

    :param rapid_ms: an answer that took less time is rapid.
    :param in_order: as for `not_reached`.
    :return: the answers with and without a response time and the rapid ones; the sessions whose end can be judged,
        those that end in a run of rapid wrong answers, and those whose order is unknown.
    """
    timed = int(np.count_nonzero(_times(attempts) > 0))
    figures = {
        "answers_timed": timed,
        "answers_untimed": len(attempts) - timed,
        "answers_rapid": int(np.count_nonzero(_rapid(attempts, rapid_ms))),
    }
    ending = attempts["session"].filter(pa.array(not_reached(attempts, rapid_ms, in_order=in_order)))
    return figures | _sessions(attempts, in_order=in_order) | {"sessions_not_reached": len(pc.unique(ending))}


def not_reached(attempts: pa.Table, faster_than: int, *, in_order: bool) -> np.ndarray:
    """Which attempts are in a run of wrong answers at the end of their session, each faster than this.

    :param in_order: whether the ids order the answers of one moment. Otherwise the run begins after the moment of the
        last other answer, and a session with only one moment has no end.
    """
    found = np.zeros(len(attempts), bool)
    times = _times(attempts)
    suspect = (times >= 0) & (times < faster_than) & ~attempts["correct"].to_numpy()
    candidates = pc.unique(attempts["session"].filter(pa.array(suspect))).drop_null()
    rows = np.flatnonzero(pc.is_in(attempts["session"], candidates))
    if not rows.size:
        return found
    rows, first = _by_session(attempts, rows)
    last = np.append(first[1:], len(rows)) - 1
    moment = attempts["completed_at"].take(pa.array(rows)).cast(pa.int64()).to_numpy()
    ending = _at_end(suspect[rows], moment, first, last, in_order=in_order)
    runs = (
        (np.add.reduceat(ending, first) >= _SHORTEST_RUN)
        & (np.maximum.reduceat(times[rows], first) > 0)
        & (in_order | (moment[first] < moment[last]))
    )
    found[rows] = (ending == 1) & np.repeat(runs, last - first + 1)
    return found


def wrong_throughout(responses: pa.Table, at_least: int) -> dict[str, int]:
    """Figures for the check of this name: the users with at least this many responses, and those with none right."""
    users = responses["user_id"].combine_chunks().indices.to_numpy()
    answers = np.bincount(users)
    right = np.bincount(users, weights=responses["is_correct"].to_numpy())
    judged = answers >= at_least
    return {
        "users_judged": int(np.count_nonzero(judged)),
        "users_wrong_throughout": int(np.count_nonzero(judged & (right == 0))),
    }


def _times(attempts: pa.Table) -> np.ndarray:
    """Response times; -1 is unknown."""
    times: np.ndarray = attempts["response_time_ms"].to_numpy()
    return times


def _rapid(attempts: pa.Table, faster_than: int) -> np.ndarray:
    times = _times(attempts)
    rapid: np.ndarray = (times > 0) & (times < faster_than)
    return rapid


def _by_session(attempts: pa.Table, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The rows by session and age, and the position of each session's first."""
    order = ["session", "completed_at", "id"]
    part = attempts.select(order).take(pa.array(rows))
    rows = rows[pc.sort_indices(part, [(name, "ascending") for name in order])]
    session = attempts["session"].take(pa.array(rows)).to_numpy()
    return rows, np.flatnonzero(np.append(True, session[1:] != session[:-1]))


def _at_end(
    suspect: np.ndarray, moment: np.ndarray, first: np.ndarray, last: np.ndarray, *, in_order: bool
) -> np.ndarray:
    """1 for each attempt that comes after its session's last unsuspicious one, else 0."""
    place, sizes = np.arange(len(suspect)), last - first + 1
    other = np.maximum.reduceat(np.where(suspect, -1, place), first)
    after = place > np.repeat(other, sizes)
    if not in_order:
        after &= np.repeat(other < 0, sizes) | (moment > moment[np.repeat(other, sizes)])
    return after.astype(np.int64)


def _sessions(attempts: pa.Table, *, in_order: bool) -> dict[str, int]:
    """Sessions of at least two answers with some response time, by whether their order is known."""
    rows = np.flatnonzero(attempts["session"].is_valid())
    session = attempts["session"].drop_null().to_numpy()
    order = _together(session)
    session = session[order]
    first = np.flatnonzero(session[1:] != session[:-1]) + 1
    sizes = np.diff(first, prepend=0, append=len(rows))
    several = sizes > 1
    if not several.any():
        return {"sessions": 0, "sessions_unordered": 0}
    rows, sizes = rows[order[np.repeat(several, sizes)]], sizes[several]
    first = np.cumsum(sizes) - sizes
    moment = attempts["completed_at"].cast(pa.int64()).to_numpy()[rows]
    judged = np.maximum.reduceat(_times(attempts)[rows], first) > 0
    in_one_moment = np.minimum.reduceat(moment, first) == np.maximum.reduceat(moment, first)
    unordered = 0 if in_order else int(np.count_nonzero(judged & in_one_moment))
    return {"sessions": int(np.count_nonzero(judged)) - unordered, "sessions_unordered": unordered}


def _together(session: np.ndarray) -> np.ndarray:
    """An order of the rows in which those of a session follow each other."""
    # The first bits of a hash and the row, packed into one number, sort several times faster than the whole hash.
    bits = np.uint64(len(session).bit_length())
    both = session.view(np.uint64) >> bits << bits | np.arange(len(session), dtype=np.uint64)
    both.sort()
    start = both >> bits
    order: np.ndarray = (both & ((np.uint64(1) << bits) - np.uint64(1))).view(np.int64)
    alike = np.flatnonzero(start[1:] == start[:-1])
    if (session[order[alike]] != session[order[alike + 1]]).any():
        return np.argsort(session)
    return order
