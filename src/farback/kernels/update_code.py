# mypy: allow-untyped-defs, allow-untyped-calls
"""The loop over updates, compiled: forward pass, loss, backward pass, clipping and step of every replica.

It calls the kernels that single updates use, so that no bit changes. The logarithm and the exponential of the loss are
torch's own operators, called by their addresses.

Shapes: U updates, R replicas, T steps, B sequences, I inputs, H hidden, L numbers in a row, A kept numbers, N scored
outputs of O numbers, P parameters, D layers.
"""

from farback.kernels import linear_layer, optimizer_steps, time_loop
from farback.kernels.buffer_pool import array_at
from farback.kernels.jit import exact_loop, kernel
from farback.kernels.llvm import call_operator
from farback.kernels.torch_operators import FLOAT32

LOSSES = ("softmax", "squared", "binary")
SOFTMAX, SQUARED, BINARY = range(3)
LARGE = 1e15  # the loss of outputs that are not larger is finite


@exact_loop
def _are_bounded(output_NO):
    """Whether no output is beyond LARGE or NaN."""
    fits = True
    for n in range(output_NO.shape[0]):
        for o in range(output_NO.shape[1]):
            fits = fits and abs(output_NO[n, o]) <= LARGE
    return fits


@exact_loop
def _one_hot(target_N, weight_N, slope_NO):
    """The gradient of the log probabilities: minus the weight at the target."""
    for n in range(slope_NO.shape[0]):
        for o in range(slope_NO.shape[1]):
            slope_NO[n, o] = 0
        slope_NO[n, target_N[n]] = -weight_N[n]


@exact_loop
def _softmax(target_N, weight_N, slope_NO):
    """The gradient of the outputs from the probabilities, in place."""
    one = slope_NO.dtype.type(1)
    for n in range(slope_NO.shape[0]):
        slope_NO[n, target_N[n]] -= one
        for o in range(slope_NO.shape[1]):
            slope_NO[n, o] *= weight_N[n]


@exact_loop
def _squared(output_NO, target_N, weight_N, slope_NO):
    for n in range(slope_NO.shape[0]):
        difference = output_NO[n, 0] - target_N[n]
        slope_NO[n, 0] = (difference + difference) * weight_N[n]


@exact_loop
def _minus_size(output_NO, size_NO):
    for n in range(output_NO.shape[0]):
        for o in range(output_NO.shape[1]):
            size_NO[n, o] = -abs(output_NO[n, o])


@exact_loop
def _binary(output_NO, target_NO, weight_N, stacked, slope_NO):
    """The gradient of the outputs from exp(-|output|), in place; operations and roundings as by autograd."""
    one, half = slope_NO.dtype.type(1), slope_NO.dtype.type(0.5)
    for n in range(slope_NO.shape[0]):
        start = (weight_N[n] if stacked else one) / slope_NO.dtype.type(slope_NO.shape[1])
        for o in range(slope_NO.shape[1]):
            z, e = output_NO[n, o], slope_NO[n, o]
            size = start * half - start / (e + one) * e
            sign = one if z > 0 else -one if z < 0 else z - z
            slope = start * (half - target_NO[n, o]) + size * sign
            slope_NO[n, o] = slope if stacked else slope * weight_N[n]


@kernel
def updates(functions, like, cell, sizes, kinds, handles, starts, data, flat, rules, work, results):
    """Do U updates, or fewer if an output is large; return their number, or -1 if an index is invalid.

    Args:
        functions: the addresses of BLAS, of the cell's step functions and of torch's operators.
        like: a number of the dtype.
        cell: the sizes of the cell's step functions.
        sizes: U, R, T, B, I, H, O, N, P and D, and the number of the update before the first.
        kinds: of loss and optimizer, and whether all steps are scored.
        handles: torch's tensors at the last three matrices of `work`, and at the gradients of the parameters.
        starts: where each layer's parameters begin, (D + 1, 4), -1 if absent; the last row is the readout's.
        data: the inputs, (U, R, T, B, I), the index of scored steps, the targets and the weights, (U, R, N).
        flat: the parameters, (R, P), and their running averages.
        rules: the learning rates, (U, R), and the limits of the norm and the other rules, (R,) each.
        work: memory for one replica: a table (D, 5) of addresses and the length of rows, then zeros (B, H), gradients
            of the state, twice (B, H), gradients, twice (P,), then outputs, logarithms and gradients, (N, O) each.
        results: the outputs, (U, R, N, O), and the norms of the gradients, (U, R).
    """
    gemm, step, back, log_softmax, exp, log_softmax_back, sqrt = functions
    U, R, T, B, width, H, width_out, N, P, D, count = sizes
    loss, optimizer, is_all, stacked = kinds[0], kinds[1], kinds[2] != 0, D > 1
    place = array_at(starts, 0, (D + 1, 4))
    table = array_at(work[0], 0, (D, 5))
    _, zeros, dh, dc, grad, clipped, output, logs, slope = work
    dh_BH, dc_BH = array_at(dh, like, (B, H)), array_at(dc, like, (B, H))
    output_NO, logs_NO, slope_NO = (
        array_at(output, like, (N, width_out)),
        array_at(logs, like, (N, width_out)),
        array_at(slope, like, (N, width_out)),
    )
    output_URNO = array_at(results[0], like, (U, R, N, width_out))
    item = output_URNO.itemsize
    target_URN, number_URNO = array_at(data[2], 0, (U, R, N)), array_at(data[2], like, (U, R, N, width_out))
    weight_URN = array_at(data[3], like, (U, R, N))
    no_state, strides = (zeros, zeros), (0, 0, 0, 0)
    for u in range(U):
        fits = True
        for r in range(R):
            n = u * R + r
            theta, own = flat[0] + r * P * item, output_URNO[u, r]
            index = 0 if is_all else data[1] + n * N * 8
            for layer in range(D):
                rows, kept, h, L = table[layer, 0], table[layer, 1], table[layer, 2], table[layer, 4]
                selects, first = layer == D - 1 and not is_all, layer == 0
                wide = width if first else H
                inputs = data[0] + n * T * B * width * item if first else table[layer - 1, 2]
                weights = (
                    theta + place[layer, 0] * item,
                    theta + place[layer, 1] * item,
                    theta + place[layer, 2] * item if place[layer, 2] >= 0 else 0,
                    theta + place[layer, 3] * item if place[layer, 3] >= 0 else 0,
                )
                shape = (1, T, B, wide, H, L, N if selects else 0)
                if not time_loop.forward(
                    gemm,
                    step,
                    like,
                    cell,
                    shape,
                    (0, T, T + 1, T + 1),
                    strides,
                    (inputs, 0, 0),
                    no_state,
                    weights,
                    index if selects else 0,
                    0,
                    (rows, kept, h if selects else 0),
                ):
                    return -1
                if not selects:
                    row_FBL, h_TBH = array_at(rows, like, (T + 1, B, L)), array_at(h, like, (T, B, H))
                    for t in range(T):
                        time_loop.copy(row_FBL[t + 1], h_TBH[t])
            top, w, b = table[D - 1, 2], place[D, 0] * item, place[D, 1] * item
            linear_layer.forward_at(gemm, like, (1, N, H, width_out), (0, 0), top, theta + w, theta + b, output)
            time_loop.copy(output_NO, own)
            fits = _are_bounded(output_NO) and fits
            weight_N = weight_URN[u, r]
            if loss == SOFTMAX:
                call_operator(log_softmax, (handles[0], -1, 0, handles[1]))
                if stacked:
                    _one_hot(target_URN[u, r], weight_N, output_NO)
                    call_operator(log_softmax_back, (handles[0], handles[1], -1, FLOAT32, handles[2]))
                else:
                    call_operator(exp, (handles[1], handles[2]))
                    _softmax(target_URN[u, r], weight_N, slope_NO)
            elif loss == SQUARED:
                _squared(output_NO, number_URNO[u, r].reshape(N), weight_N, slope_NO)
            else:
                _minus_size(output_NO, logs_NO)
                call_operator(exp, (handles[1], handles[2]))
                _binary(output_NO, number_URNO[u, r], weight_N, stacked, slope_NO)
            dtop = table[D - 1, 3]
            places = (top, theta + w, slope, dtop, grad + w, grad + b)
            linear_layer.backward_at(gemm, like, (1, N, H, width_out), (0, 0, 0), *places)
            for layer in range(D - 1, -1, -1):
                rows, kept, dout, L = table[layer, 0], table[layer, 1], table[layer, 3], table[layer, 4]
                selects, first = layer == D - 1 and not is_all, layer == 0
                wide = width if first else H
                weights = (theta + place[layer, 0] * item, theta + place[layer, 1] * item, 0, 0)
                gradients = (
                    grad + place[layer, 0] * item,
                    grad + place[layer, 1] * item,
                    grad + place[layer, 2] * item if place[layer, 2] >= 0 else 0,
                    grad + place[layer, 3] * item if place[layer, 3] >= 0 else 0,
                )
                time_loop.clear(dh_BH)
                time_loop.clear(dc_BH)
                time_loop.backward(
                    gemm,
                    back,
                    like,
                    cell,
                    (1, T, B, wide, H, L, N if selects else 0),
                    (0, T, T + 1, T + 1),
                    strides,
                    weights,
                    (rows, kept),
                    index if selects else 0,
                    0,
                    (0 if selects else dout, dout if selects else 0),
                    (dh, dc),
                    (0 if first else table[layer - 1, 3], 0),
                    strides,
                    gradients,
                    (0, 0),
                )
            norm = results[1] + n * item
            optimizer_steps.clip_at(like, 1, P, grad, rules[1] + r * item, clipped, norm)
            optimizer_steps.step_at(
                optimizer,
                like,
                P,
                count + u + 1,
                (theta, clipped, flat[1] + r * P * item, flat[2] + r * P * item),
                rules[0] + n * item,
                (rules[2] + r * item, rules[3] + r * item, rules[4] + r * item, rules[5] + r * item),
                (sqrt, handles[3], grad),
            )
        if not fits:
            return u + 1
    return U
