"""Vectors in the processor's registers, for the innermost loops of E-step and information.

numba vectorises nested loops too, but loads and stores the sums every time and checks whether the arrays overlap.
Keeping the sums in registers saves a third of the time. Nothing is checked here:
rows must be padded to a multiple of the vector's length (`jit.padded`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

Integer = types.int64
_INDEX = ir.IntType(64)


class Array:
    """A contiguous array within an intrinsic."""

    def __init__(self, context: Any, builder: Any, kind: Any, value: Any) -> None:
        array = context.make_array(kind)(context, builder, value)
        self._builder, self._data = builder, array.data
        self._lengths = cgutils.unpack_tuple(builder, array.shape)
        self._number = context.get_data_type(kind.dtype)
        self._alignment = context.get_abi_sizeof(self._number)

    def at(self, *indices: Any) -> Any:
        """Pointer to an element."""
        place = indices[0]
        for length, index in zip(self._lengths[1:], indices[1:], strict=True):
            place = self._builder.add(self._builder.mul(place, length), index)
        return self._builder.gep(self._data, [place])

    def number(self, *indices: Any) -> Any:
        return self._builder.load(self.at(*indices))

    def index(self, *indices: Any) -> Any:
        """An element, a signed integer, as an index."""
        number = self.number(*indices)
        return number if number.type.width == _INDEX.width else self._builder.sext(number, _INDEX)

    def load(self, lanes: int, *indices: Any) -> Any:
        """The vector that starts at an element."""
        return self._builder.load(self._vector(lanes, *indices), align=self._alignment)

    def store(self, vector: Any, *indices: Any) -> None:
        self._builder.store(vector, self._vector(vector.type.count, *indices), align=self._alignment)

    def add(self, vector: Any, *indices: Any) -> None:
        self.store(self._builder.fadd(self.load(vector.type.count, *indices), vector), *indices)

    def _vector(self, lanes: int, *indices: Any) -> Any:
        return self._builder.bitcast(self.at(*indices), ir.VectorType(self._number, lanes).as_pointer())


def arrays(context: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """The arguments of an intrinsic, arrays as `Array`."""
    return [
        Array(context, builder, kind, value) if isinstance(kind, types.Array) else value
        for kind, value in zip(signature.args, arguments, strict=True)
    ]


def loop(
    builder: Any, start: Any, stop: Any, vectors: list[Any], step: Callable[[Any, list[Any]], list[Any]]
) -> list[Any]:
    """`vectors` after `vectors = step(k, vectors)` for each k from `start` to `stop`; they stay in registers."""
    places = [cgutils.alloca_once_value(builder, vector) for vector in vectors]
    with cgutils.for_range_slice(builder, start, stop, start.type(1)) as (k, _):
        for place, vector in zip(places, step(k, [builder.load(place) for place in places]), strict=True):
            builder.store(vector, place)
    return [builder.load(place) for place in places]


def spread(builder: Any, number: Any, lanes: int) -> Any:
    """A vector with `number` in each lane."""
    kind = ir.VectorType(number.type, lanes)
    one = builder.insert_element(ir.Constant(kind, ir.Undefined), number, ir.IntType(32)(0))
    return builder.shuffle_vector(one, one, ir.Constant(ir.VectorType(ir.IntType(32), lanes), None))
