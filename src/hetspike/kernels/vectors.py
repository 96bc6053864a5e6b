"""A numba type for a row of float32 in registers, so that kernels read as their equations do.

numba leaves the choice of vector instructions to LLVM, which finds none in a loop over time steps
or over lists of spikes. Inside a kernel a `Vector` of a fixed number of lanes is loaded from an
array, computed with by `+ - * / >=`, and stored. Its width is a part of the program, not of the
processor, and nothing is reordered or contracted: the bits of a result are those of every
processor. A kernel takes the number of lanes as a tuple of that type, `LANES[n]`, which numba
knows when it compiles.
"""

import operator
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, overload, register_model

FLOAT, WORD, BYTE = ir.FloatType(), ir.IntType(32), ir.IntType(8)

# tuples of n - 3 zeros for 2^n lanes: a constant that numba's dispatcher and cache take at no cost
Lanes = tuple[int, ...]
LANES: dict[int, Lanes] = {8 << k: (0,) * k for k in range(4)}  # 8, 16, 32, 64


class Vector(types.Type):
    """So many float32, or answers of a comparison, in registers."""

    def __init__(self, lanes: int, element: str = "float") -> None:
        super().__init__(f"Vector({lanes}, {element})")
        self.lanes, self.element = lanes, element


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, vector: Vector) -> None:
        element = FLOAT if vector.element == "float" else ir.IntType(1)
        super().__init__(manager, vector, ir.VectorType(element, vector.lanes))


def lanes_of(tag: types.BaseTuple) -> int:
    """Return the number of lanes that a type of LANES stands for."""
    return 8 << len(tag)


@intrinsic
def equal_lanes(typing: Any, tag: types.BaseTuple) -> Any:
    """Return the number of lanes, as a constant."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return context.get_constant(types.intp, lanes_of(tag))

    return types.intp(tag), build


def _constant(value: float, lanes: int, element: ir.Type = FLOAT) -> ir.Constant:
    return ir.Constant(ir.VectorType(element, lanes), [value] * lanes)


def _spread(builder: ir.IRBuilder, scalar: ir.Value, lanes: int) -> ir.Value:
    vector = ir.VectorType(scalar.type, lanes)
    one = builder.insert_element(ir.Constant(vector, ir.Undefined), scalar, ir.Constant(WORD, 0))
    return builder.shuffle_vector(one, ir.Constant(vector, ir.Undefined), _constant(0, lanes, WORD))


def _address(
    context: Any, builder: ir.IRBuilder, array: types.Array, value: ir.Value, index: ir.Value
) -> ir.Value:
    """Address of an element of a contiguous array, flat."""
    data = context.make_array(array)(context, builder, value).data
    return builder.gep(data, [index])


@intrinsic
def load(typing: Any, array: types.Array, index: types.Integer, tag: types.BaseTuple) -> Any:
    """Load the lanes from a flat index of an array of float32 or uint8 on."""
    lanes = lanes_of(tag)

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        place = _address(context, builder, array, args[0], args[1])
        if array.dtype == types.float32:
            vector = builder.bitcast(place, ir.VectorType(FLOAT, lanes).as_pointer())
            return builder.load(vector, align=4)
        assert array.dtype == types.uint8, array
        vector = builder.bitcast(place, ir.VectorType(BYTE, lanes).as_pointer())
        return builder.uitofp(builder.load(vector, align=1), ir.VectorType(FLOAT, lanes))

    return Vector(lanes)(array, types.intp, tag), build


@intrinsic
def store(typing: Any, array: types.Array, index: types.Integer, vector: Vector) -> Any:
    """Store a vector of float32, or of answers as bytes 0 and 1, from a flat index on."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        place = _address(context, builder, array, args[0], args[1])
        value = args[2]
        if vector.element != "float":
            value = builder.zext(value, ir.VectorType(BYTE, vector.lanes))
        place = builder.bitcast(place, value.type.as_pointer())
        builder.store(value, place, align=4 if vector.element == "float" else 1)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), build


@intrinsic
def spread(typing: Any, scalar: types.Float, tag: types.BaseTuple) -> Any:
    """Make a vector of one number."""
    lanes = lanes_of(tag)

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return _spread(builder, args[0], lanes)

    return Vector(lanes)(types.float32, tag), build


@intrinsic
def where(typing: Any, answers: Vector, yes: Vector, no: Vector) -> Any:
    """Choose by lane."""

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        return builder.select(*args)

    return yes(answers, yes, no), build


@intrinsic
def exp2_minus(typing: Any, x: Vector) -> Any:
    """Compute 2^-x of 0 <= x < 126, to 2e-7 of its value.

    2^-x = 2^-n 2^-f for the nearest integer n and |f| <= 1/2: a polynomial, and a shift of the
    exponent.
    """
    lanes = x.lanes
    floats, words = ir.VectorType(FLOAT, lanes), ir.VectorType(WORD, lanes)

    def build(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
        # 1.5 2^23 leaves no place behind the point: the sum is rounded, its low bits are n
        magic = _constant(12582912.0, lanes)
        shifted = builder.fsub(magic, args[0])
        fraction = builder.fsub(builder.fsub(magic, shifted), args[0])  # n - x
        multiply_add = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(floats, [floats] * 3),
            f"llvm.fma.v{lanes}f32",
        )
        power = _constant(TAYLOR[-1], lanes)
        for coefficient in TAYLOR[-2::-1]:
            power = builder.call(multiply_add, [fraction, power, _constant(coefficient, lanes)])
        exponent = builder.shl(builder.bitcast(shifted, words), _constant(23, lanes, WORD))
        scale = builder.add(exponent, _constant(0x3F800000, lanes, WORD))
        return builder.fmul(power, builder.bitcast(scale, floats))

    return x(x), build


# ln(2)^k / k!: what is left behind the seventh is below 2e-7 at 1/2
TAYLOR = [float(np.float32(np.log(2) ** k / np.prod(range(1, k + 1)))) for k in range(7)]


def _operation(build: Callable[[ir.IRBuilder, ir.Value, ir.Value], ir.Value], result: str) -> Any:
    @intrinsic
    def operation(typing: Any, left: types.Type, right: types.Type) -> Any:
        lanes = left.lanes if isinstance(left, Vector) else right.lanes

        def generate(context: Any, builder: ir.IRBuilder, signature: Any, args: Any) -> ir.Value:
            both = [
                value if isinstance(value.type, ir.VectorType) else _spread(builder, value, lanes)
                for value in args
            ]
            return build(builder, *both)

        arguments = (each if isinstance(each, Vector) else types.float32 for each in (left, right))
        return Vector(lanes, result)(*arguments), generate

    return operation


def _define(symbol: Callable, build: Callable, result: str = "float") -> None:
    operation = _operation(build, result)

    @overload(symbol, strict=False)
    def choose(left: Any, right: Any) -> Any:
        if isinstance(left, Vector) or isinstance(right, Vector):
            return lambda left, right: operation(left, right)
        return None


_define(operator.add, lambda builder, left, right: builder.fadd(left, right))
_define(operator.sub, lambda builder, left, right: builder.fsub(left, right))
_define(operator.mul, lambda builder, left, right: builder.fmul(left, right))
_define(operator.truediv, lambda builder, left, right: builder.fdiv(left, right))
_define(operator.ge, lambda builder, left, right: builder.fcmp_ordered(">=", left, right), "bit")
_define(operator.eq, lambda builder, left, right: builder.fcmp_ordered("==", left, right), "bit")


@overload(abs, strict=False)
def absolute(x: Any) -> Any:
    if isinstance(x, Vector):
        return lambda x: where(x >= np.float32(0), x, np.float32(0) - x)
    return None


@overload(min, strict=False)
def minimum(x: Any, most: Any) -> Any:
    if isinstance(x, Vector):
        return lambda x, most: where(x >= most, x * np.float32(0) + most, x)
    return None
