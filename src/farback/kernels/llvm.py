# mypy: allow-untyped-defs, allow-untyped-calls
"""LLVM code for what numba lacks: powers of two, calls of BLAS and of compiled steps, pointers, tuples of arrays, and
wide vectors."""

from typing import Any

from llvmlite import ir  # type: ignore[import-untyped]
from numba import carray  # type: ignore[attr-defined]
from numba.core import cgutils, types
from numba.extending import intrinsic


def _power_of_two(typing_context, t):
    """2^n from a number whose low bits hold n plus the exponent's bias; shifts these bits into the exponent field."""
    width = t.bitwidth
    mantissa = {32: 23, 64: 52}[width]

    def code(context, builder, signature, arguments):
        integer = ir.IntType(width)
        shifted = builder.shl(builder.bitcast(arguments[0], integer), ir.Constant(integer, mantissa))
        return builder.bitcast(shifted, arguments[0].type)

    return t(t), code


def _call_gemm(typing_context, address, flips, sizes, a, b, strides, beta, c):
    """Fortran's xGEMM at `address`: C = op(A) op(B) + beta C.

    `flips` are two letters, one for each op; `sizes` are m, n, k; `strides` are the three leading dimensions; a, b and
    c are addresses; beta is a real number.
    """

    def code(context, builder, signature, arguments):
        function, flip_2, size_3, a, b, stride_3, beta, c = arguments
        real = beta.type

        def place(value, type):
            """Fortran takes arguments by address."""
            slot = cgutils.alloca_once(builder, type)
            builder.store(builder.trunc(value, type) if isinstance(type, ir.IntType) else value, slot)
            return slot

        flip = [place(builder.extract_value(flip_2, i), ir.IntType(8)) for i in range(2)]
        size = [place(builder.extract_value(size_3, i), ir.IntType(32)) for i in range(3)]
        stride = [place(builder.extract_value(stride_3, i), ir.IntType(32)) for i in range(3)]
        alpha, beta = place(ir.Constant(real, 1.0), real), place(beta, real)
        a, b, c = (builder.inttoptr(address, real.as_pointer()) for address in (a, b, c))
        values = [*flip, *size, alpha, a, stride[0], b, stride[1], beta, c, stride[2]]
        pointer = ir.FunctionType(ir.VoidType(), [value.type for value in values]).as_pointer()
        builder.call(builder.inttoptr(function, pointer), values)
        return context.get_dummy_value()

    pair, triple = types.UniTuple(types.intp, 2), types.UniTuple(types.intp, 3)
    return types.void(types.intp, pair, triple, types.intp, types.intp, triple, beta, types.intp), code


def _call_step(typing_context, address, like, places, sizes):
    """Call the compiled function at `address` with a number whose type gives the dtype, addresses, and sizes."""

    def code(context, builder, signature, arguments):
        function, like, places, sizes = arguments
        values = [like, *cgutils.unpack_tuple(builder, places), *cgutils.unpack_tuple(builder, sizes)]
        pointer = ir.FunctionType(ir.VoidType(), [value.type for value in values]).as_pointer()
        builder.call(builder.inttoptr(function, pointer), values)
        return context.get_dummy_value()

    return types.void(types.intp, like, places, sizes), code


def _call_operator(typing_context, address, arguments):
    """Call the C++ function at `address` with integers and addresses; what it returns is ignored."""

    def code(context, builder, signature, values):
        function, numbers = values
        own = cgutils.unpack_tuple(builder, numbers)
        pointer = ir.FunctionType(ir.IntType(64), [value.type for value in own]).as_pointer()
        builder.call(builder.inttoptr(function, pointer), own)
        return context.get_dummy_value()

    return types.void(types.intp, types.UniTuple(types.intp, len(arguments))), code


def _pointer(typing_context, address, like):
    """A pointer to numbers of the dtype of `like`."""

    def code(context, builder, signature, arguments):
        return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

    return types.CPointer(types.unliteral(like))(types.intp, like), code


def _arrays(typing_context, address, like, rows, width, distance, count):
    """A tuple of `count` arrays (rows, width), each `distance` numbers after the one before; their rows interleave.

    As arguments of a `loop` they count as arrays that do not overlap, which blocks of one array do not.
    """
    kind, size = types.Array(types.unliteral(like), 2, "C"), count.literal_value
    numbers = types.UniTuple(kind, size) if size else types.Tuple(())

    def code(context, builder, signature, arguments):
        address, like, rows, width, distance, _ = arguments

        def array(address, like, rows, width):
            return carray(pointer(address, like), (rows, width))

        made = []
        for k in range(size):
            offset = builder.mul(distance, context.get_constant(types.intp, k * kind.dtype.bitwidth // 8))
            values = builder.add(address, offset), like, rows, width
            made.append(
                context.compile_internal(builder, array, kind(types.intp, kind.dtype, *[types.intp] * 2), values)
            )
        return context.make_tuple(builder, signature.return_type, made)

    return numbers(types.intp, kind.dtype, types.intp, types.intp, types.intp, types.literal(size)), code


def _read(typing_context, arrays, row, column):
    """The numbers of arrays at one row and column, as a tuple."""
    numbers = types.UniTuple(arrays[0].dtype, len(arrays)) if len(arrays) else types.Tuple(())

    def code(context, builder, signature, arguments):
        places = _places(context, builder, signature, arguments)
        return context.make_tuple(builder, signature.return_type, [builder.load(place) for place in places])

    return numbers(arrays, row, column), code


def _stored(adds):
    def write(typing_context, arrays, row, column, numbers, first):
        """Store numbers of a tuple, from `first` on, one in each array at one row and column, or add them."""
        start, stop = first.literal_value, first.literal_value + len(arrays)

        def code(context, builder, signature, arguments):
            values = cgutils.unpack_tuple(builder, arguments[3])[start:stop]
            places = _places(context, builder, signature, arguments)
            for place, value, array, kind in zip(places, values, arrays, list(numbers)[start:stop], strict=True):
                cast = context.cast(builder, value, kind, array.dtype)
                builder.store(builder.fadd(builder.load(place), cast) if adds else cast, place)
            return context.get_dummy_value()

        return types.void(arrays, row, column, numbers, types.literal(start)), code

    return write


def _places(context, builder, signature, arguments):
    """Pointers to a row and column of each array of a tuple."""
    kinds = signature.args[0]
    place = [context.cast(builder, arguments[i], signature.args[i], types.intp) for i in (1, 2)]
    for kind, value in zip(kinds, cgutils.unpack_tuple(builder, arguments[0]), strict=True):
        array = context.make_array(kind)(context, builder, value)
        yield cgutils.get_item_pointer(context, builder, kind, array, place)


def _wide_vectors(typing_context):
    """Let the calling function use the machine's widest vectors.

    With AVX-512, LLVM uses half the width to keep the clock rate high; here the matrix products use full width anyway.
    """

    def code(context, builder, signature, arguments):
        # llvmlite's own `add` refuses attributes that it does not know
        set.add(builder.function.attributes, '"prefer-vector-width"="512"')
        return context.get_dummy_value()

    return types.void(), code


power_of_two: Any = intrinsic(_power_of_two)
call_gemm: Any = intrinsic(_call_gemm)
call_step: Any = intrinsic(_call_step)
call_operator: Any = intrinsic(_call_operator)
pointer: Any = intrinsic(_pointer)
arrays: Any = intrinsic(prefer_literal=True)(_arrays)
read: Any = intrinsic(_read)
write: Any = intrinsic(prefer_literal=True)(_stored(adds=False))
add: Any = intrinsic(prefer_literal=True)(_stored(adds=True))
wide_vectors: Any = intrinsic(_wide_vectors)
