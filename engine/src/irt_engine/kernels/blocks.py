"""The innermost loops of the E-step: sums over blocks of LANES neighbouring nodes."""

from __future__ import annotations

from numba.core import types
from numba.core.extending import intrinsic

from irt_engine.kernels.jit import LANES
from irt_engine.kernels.vectors import Integer, arrays, loop


@intrinsic
def add_rows(typing_context, numbers, table, codes, start, stop, first):  # type: ignore[no-untyped-def]
    """numbers[first:first + LANES] += table[code, first:first + LANES] for the codes from `start` to `stop`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        numbers, table, codes, start, stop, first = arrays(context, builder, signature, arguments)

        def step(k, total):  # type: ignore[no-untyped-def]
            return [builder.fadd(total[0], table.load(LANES, codes.index(k), first))]

        numbers.store(loop(builder, start, stop, [numbers.load(LANES, first)], step)[0], first)
        return context.get_dummy_value()

    return types.void(numbers, table, codes, Integer, Integer, Integer), generate


@intrinsic
def add_to_rows(typing_context, numbers, table, codes, start, stop, first):  # type: ignore[no-untyped-def]
    """table[code, first:first + LANES] += numbers[first:first + LANES] for the codes from `start` to `stop`."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        numbers, table, codes, start, stop, first = arrays(context, builder, signature, arguments)
        added = numbers.load(LANES, first)

        def step(k, nothing):  # type: ignore[no-untyped-def]
            table.add(added, codes.index(k), first)
            return nothing

        loop(builder, start, stop, [], step)
        return context.get_dummy_value()

    return types.void(numbers, table, codes, Integer, Integer, Integer), generate
