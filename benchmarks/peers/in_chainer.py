"""The works in Chainer. Each gets its settings and arrays and returns a function that runs it once and returns its results."""

import chainer
import chainer.functions as F
import numpy as np

chainer.config.use_ideep = "never"


def layer(forward, names):
    def build(work, arrays):
        inputs = {name: chainer.Variable(arrays[name]) for name in names}

        def step():
            for variable in inputs.values():
                variable.cleargrad()
            y = forward(work, *inputs.values())
            y.grad = arrays["dy"]
            y.backward()
            return {"y": y.array, **{f"grad {name}": variable.grad for name, variable in inputs.items()}}

        return step

    return build


def conv(work, x, weight, bias):
    return F.convolution_2d(x, weight, bias, stride=work["stride"], pad=work["padding"])


def max_pool(work, x):
    return F.max_pooling_2d(x, 2, cover_all=False)


def unet(work, arrays):
    """`benchmarks.networks.unet` without batch norm, for sizes that need no padding; parameters under the same names."""
    levels = len(work["widths"]) - 1
    model = chainer.Chain()
    parameters = {}
    with model.init_scope():
        for name, value in arrays.items():
            if name not in ("x", "target"):
                parameters[name] = chainer.Parameter(value)
                setattr(model, name.replace(".", "_"), parameters[name])
    rule = chainer.optimizers.Adam(alpha=1e-5).setup(model)
    x, target = arrays["x"], arrays["target"].astype(np.int32)

    def double(name, h):
        for index in (0, 2):  # 1 and 3 are the ReLUs
            h = F.relu(F.convolution_2d(h, parameters[f"{name}.{index}.weight"], parameters[f"{name}.{index}.bias"], pad=1))
        return h

    def step():
        model.cleargrads()
        h, copies = x, []
        for level in range(levels):
            copies.append(double(f"down.{level}", h))
            h = F.max_pooling_2d(copies[-1], 2, cover_all=False)
        h = double("bottom", h)
        for level in range(levels):
            h = F.deconvolution_2d(h, parameters[f"up.{level}.weight"], parameters[f"up.{level}.bias"], stride=2)
            h = double(f"merge.{level}", F.concat([copies.pop(), h], axis=1))
        loss = F.softmax_cross_entropy(F.convolution_2d(h, parameters["head.weight"], parameters["head.bias"]), target)
        loss.backward()
        rule.update()
        return {"loss": loss.array, **{f"grad {name}": p.grad for name, p in parameters.items()}}

    return step


WORKS = {"conv": layer(conv, ("x", "weight", "bias")), "max_pool": layer(max_pool, ("x",)), "unet": unet}
