"""The innermost loops of the information: products of small matrices in single precision, ROWS x COLUMNS at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.extending import intrinsic

from irt_engine.kernels.vectors import Integer, arrays, loop, spread

# The sums of a block fill 12 of the 16 registers of 8 numbers that any processor with AVX has.
ROWS, COLUMNS = 6, 16


def _block(
    builder: Any, start: Any, stop: Any, left: Callable[[int, Any], Any], right: Callable[[Any], Any]
) -> list[Any]:
    """For each of ROWS rows r the sum over k of the number left(r, k) times the vector right(k) of COLUMNS numbers."""

    def step(k: Any, sums: list[Any]) -> list[Any]:
        vector = right(k)
        products = [
            builder.fmul(spread(builder, left(r, k), COLUMNS), vector, flags=("contract",)) for r in range(ROWS)
        ]
        return [
            builder.fadd(total, product, flags=("contract",)) for total, product in zip(sums, products, strict=True)
        ]

    nothing = ir.Constant(ir.VectorType(ir.FloatType(), COLUMNS), None)
    return loop(builder, start, stop, [nothing] * ROWS, step)


@intrinsic
def add_products(typing_context, left, i, right, used, target, places, at, first):
    """target[places[at + r], first:first + COLUMNS] += sum of left[k, i + r] * right[k, first:...] over k < used.

    r < ROWS. `left`, `right` and `target` are float32, `places` is int64.
    """

    def generate(context, builder, signature, arguments):
        left, i, right, used, target, places, at, first = arrays(context, builder, signature, arguments)

        def number(r: int, k: Any) -> Any:
            return left.number(k, builder.add(i, i.type(r)))

        def vector(k: Any) -> Any:
            return right.load(COLUMNS, k, first)

        for r, total in enumerate(_block(builder, used.type(0), used, number, vector)):
            target.add(total, places.index(builder.add(at, at.type(r))), first)
        return context.get_dummy_value()

    return types.void(left, Integer, right, Integer, target, places, Integer, Integer), generate


@intrinsic
def weigh_rows(typing_context, table, codes, start, stop, i, first, end, weights, column, sums):
    """sums[i + r, column:column + COLUMNS] = sum over q of table[code of answer i + r, q] * weights[q, column:...].

    q runs from `first` to `end`; r < ROWS, and the last answer is repeated beyond the end. All float32.
    """

    def generate(context, builder, signature, arguments):
        table, codes, start, stop, i, first, end, weights, column, sums = arrays(context, builder, signature, arguments)
        last = builder.sub(stop, stop.type(1))

        def code(r: int) -> Any:
            answer = builder.add(builder.add(start, i), i.type(r))
            return codes.index(builder.select(builder.icmp_signed("<", answer, last), answer, last))

        rows = [code(r) for r in range(ROWS)]

        def number(r: int, q: Any) -> Any:
            return table.number(rows[r], q)

        def vector(q: Any) -> Any:
            return weights.load(COLUMNS, q, column)

        for r, total in enumerate(_block(builder, first, end, number, vector)):
            sums.store(total, builder.add(i, i.type(r)), column)
        return context.get_dummy_value()

    kinds = (table, codes, Integer, Integer, Integer, Integer, Integer, weights, Integer, sums)
    return types.void(*kinds), generate
