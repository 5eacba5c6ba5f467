"""The works in MyGrad, whose convolution has no bias: it is added."""

import mygrad
from mygrad.nnet.layers import conv_nd, max_pool


def layer(forward, names):
    def build(work, arrays):
        inputs = {name: mygrad.tensor(arrays[name]) for name in names}

        def step():
            for tensor in inputs.values():
                tensor.null_grad()
            y = forward(work, *inputs.values())
            y.backward(arrays["dy"])
            return {"y": y.data, **{f"grad {name}": tensor.grad for name, tensor in inputs.items()}}

        return step

    return build


def conv(work, x, weight, bias):
    return conv_nd(x, weight, stride=work["stride"], padding=work["padding"]) + bias.reshape(1, -1, 1, 1)


WORKS = {
    "conv": layer(conv, ("x", "weight", "bias")),
    "max_pool": layer(lambda work, x: max_pool(x, (2, 2), 2), ("x",)),
    "unet": "has no transposed convolution",
}
