"""Populations: sets of users whose abilities are assumed to come from one distribution.

Each group is a population. The answers hardly determine the mean and SD of a group with fewer than `min_group_users`
users, so these groups form one population together. If even together they are too few, they join the reference.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from irt_engine.answers.responses import Responses
from irt_engine.answers.selection import answers_of, count_by_item
from irt_engine.contract.settings import Settings
from irt_engine.errors import InputError
from irt_engine.kernels import rows
from irt_engine.kernels.threads import run

# The standard errors of all parameters depend on the parameters of each group.
_MOST = 200


@dataclass(frozen=True)
class Population:
    """The answers of one population, by person.

    :ivar persons: (N_g,) int64, indices of its persons among all, ascending; `items` (J_g,) int64, likewise of the
        items that they answered.
    :ivar offsets: (N_g + 1,) int64; `codes` (n_g,) int32, with items numbered as in `items`.
    """

    persons: np.ndarray
    items: np.ndarray
    offsets: np.ndarray
    codes: np.ndarray

    def answers_by_item(self) -> np.ndarray:
        """Number of answers to each of its items, (J_g,) int64."""
        return count_by_item(self.codes, self.items.size)[0]


@dataclass(frozen=True)
class Populations:
    """How users are divided into populations.

    :ivar names: the groups of each population; the first is the reference. ((),) where answers have no groups.
    :ivar of_user: (N,) int64, the population of each user.
    """

    names: tuple[tuple[str, ...], ...]
    of_user: np.ndarray

    @classmethod
    def of(cls, responses: Responses, settings: Settings) -> Populations:
        """:raise InputError: the settings name a reference group that does not exist or has no users left, or declare
        users of several groups to be samples of one population.
        """
        if responses.group_ids is None or responses.group is None:
            _refuse_reference(settings, ())
            return cls(((),), np.zeros(responses.n_users, np.int64))
        names, group = responses.group_ids, responses.group
        _refuse_reference(settings, names)
        sizes = np.bincount(group, minlength=len(names))
        reference = names.index(settings.reference_group) if settings.reference_group else int(np.argmax(sizes))
        if settings.reference_group and not sizes[reference]:
            message = "none of its users has answers that can be used"
            raise InputError("options.reference_group", settings.reference_group, message)
        if settings.linking.unlinked == "same_population" and np.count_nonzero(sizes) > 1:
            message = "the answers have groups: their users are not taken to be samples of one population"
            raise InputError("linking.unlinked", "same_population", message)
        kinds = _kinds(sizes, reference, settings.min_group_users)
        if len(kinds) > _MOST:
            message = (
                f"{len(kinds)} groups have at least {settings.min_group_users} users; at most {_MOST} can have a mean "
                "and an SD of their own: raise options.min_group_users"
            )
            raise InputError("observations.group", len(kinds), message)
        of_group = np.zeros(len(names), np.int64)
        for number, kind in enumerate(kinds):
            of_group[kind] = number
        return cls(tuple(tuple(names[g] for g in kind) for kind in kinds), of_group[group])

    def __len__(self) -> int:
        return len(self.names)

    def split(self, responses: Responses) -> list[Population]:
        """The answers of each population."""
        n_items = responses.n_items
        if len(self) == 1:
            everyone, all_items = np.arange(responses.n_users), np.arange(n_items)
            return [Population(everyone, all_items, responses.offsets, responses.codes)]
        return [_part(responses, np.flatnonzero(self.of_user == g)) for g in range(len(self))]


def whole(responses: Responses) -> list[Population]:
    """All answers as one population."""
    return Populations(((),), np.zeros(responses.n_users, np.int64)).split(responses)


def _part(responses: Responses, persons: np.ndarray) -> Population:
    offsets, codes = answers_of(persons, responses.offsets, responses.codes)
    answered = np.flatnonzero(count_by_item(codes, responses.n_items)[0])
    if answered.size < responses.n_items:
        number = np.zeros(responses.n_items, np.int32)
        number[answered] = np.arange(answered.size, dtype=np.int32)
        run(rows.renumber, codes, number, work=float(codes.size))
    return Population(persons, answered, offsets, codes)


def _refuse_reference(settings: Settings, names: tuple[str, ...] | list[str]) -> None:
    if settings.reference_group is not None and settings.reference_group not in names:
        message = f"is not one of the {len(names)} groups of the answers" if names else "the answers have no groups"
        raise InputError("options.reference_group", settings.reference_group, message)


def _kinds(sizes: np.ndarray, reference: int, least: int) -> list[list[int]]:
    """The groups of each population, the reference first."""
    small = [g for g in range(sizes.size) if 0 < sizes[g] < least]
    large = [g for g in range(sizes.size) if sizes[g] >= least]
    kinds = [[g] for g in large]
    if small:
        enough = int(sizes[small].sum()) >= least
        home = next((kind for kind in kinds if reference in kind), kinds[0] if kinds else [])
        if enough or not kinds:
            kinds.append(small)
        else:
            home.extend(small)
            home.sort()
    return sorted(kinds, key=lambda kind: (reference not in kind, kind))
