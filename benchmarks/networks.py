"""The networks of the benchmark, each written once: `unet(torch, ...)` is the same source for PyTorch and for minivision."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

PAPER = (64, 128, 256, 512, 1024)


def unet(
    torch: Any,
    widths: Sequence[int] = PAPER,
    channels: int = 3,
    classes: int = 2,
    norm: bool = False,
    checkpoint: bool = False,
) -> Any:
    """A U-Net with "same" padding. Where a pooling dropped a last row or column, the upsampled map is padded with zeros.

    checkpoint: each pair of convolutions keeps its input alone, and runs again when backward comes to it.
    """
    nn, F = torch.nn, torch.nn.functional

    def double(inside: int, outside: int) -> Any:
        layers: list[Any] = []
        for c in (inside, outside):
            layers.append(nn.Conv2d(c, outside, 3, padding=1, bias=not norm))
            layers += [nn.BatchNorm2d(outside), nn.ReLU()] if norm else [nn.ReLU()]
        return nn.Sequential(*layers)

    run = _checkpoint(torch) if checkpoint else lambda block, x: block(x)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            *levels, bottom = widths
            self.down = nn.ModuleList([double(a, b) for a, b in zip([channels, *levels], levels, strict=False)])
            self.pool = nn.MaxPool2d(2)
            self.bottom = double(levels[-1], bottom)
            pairs = list(zip(widths[:0:-1], levels[::-1], strict=True))
            self.up = nn.ModuleList([nn.ConvTranspose2d(a, b, 2, stride=2) for a, b in pairs])
            self.merge = nn.ModuleList([double(2 * b, b) for _, b in pairs])
            self.head = nn.Conv2d(widths[0], classes, 1)

        def forward(self, x: Any) -> Any:
            copies = []
            for block in self.down:
                copies.append(run(block, x))
                x = self.pool(copies[-1])
            x = run(self.bottom, x)
            for up, merge in zip(self.up, self.merge, strict=True):
                x, copy = up(x), copies.pop()
                rows, columns = copy.shape[2] - x.shape[2], copy.shape[3] - x.shape[3]
                if rows or columns:
                    x = F.pad(x, [0, columns, 0, rows])
                x = run(merge, torch.cat([copy, x], dim=1))
            return self.head(x)

    return UNet()


def _checkpoint(torch: Any) -> Callable[[Any, Any], Any]:
    if torch.__name__ == "minivision":
        return torch.checkpoint
    from torch.utils.checkpoint import checkpoint

    return functools.partial(checkpoint, use_reentrant=False)


def fcn8s(torch: Any, classes: int = 21, fc: int = 4096, widths: Sequence[int] = (64, 128, 256, 512, 512)) -> Any:
    """FCN-8s on VGG-16 for sizes that 32 divides: fc6 pads by 3 and nothing is cropped.

    There is no dropout, which would make every run another one.
    """
    nn = torch.nn

    class FCN8s(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            blocks, inside = [], 3
            for width, count in zip(widths, (2, 2, 3, 3, 3), strict=True):
                layers: list[Any] = []
                for _ in range(count):
                    layers += [nn.Conv2d(inside, width, 3, padding=1), nn.ReLU()]
                    inside = width
                blocks.append(nn.Sequential(*layers, nn.MaxPool2d(2)))
            self.to8 = nn.Sequential(*blocks[:3])
            self.to16, self.to32 = blocks[3], blocks[4]
            self.top = nn.Sequential(nn.Conv2d(inside, fc, 7, padding=3), nn.ReLU(), nn.Conv2d(fc, fc, 1), nn.ReLU())
            self.score8, self.score16 = nn.Conv2d(widths[2], classes, 1), nn.Conv2d(widths[3], classes, 1)
            self.score32 = nn.Conv2d(fc, classes, 1)
            self.up32 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
            self.up16 = nn.ConvTranspose2d(classes, classes, 4, stride=2, padding=1, bias=False)
            self.up8 = nn.ConvTranspose2d(classes, classes, 16, stride=8, padding=4, bias=False)

        def forward(self, x: Any) -> Any:
            at8 = self.to8(x)
            at16 = self.to16(at8)
            at32 = self.to32(at16)
            scores = self.up32(self.score32(self.top(at32))) + self.score16(at16)
            scores = self.up16(scores) + self.score8(at8)
            return self.up8(scores)

    return FCN8s()


def weights(shapes: dict[str, tuple[int, ...]], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """He's initialisation for the weights of more than one axis, ones for those of norms, zeros for biases and running means."""
    made = {}
    for name, shape in shapes.items():
        if len(shape) > 1:
            fan_in = int(np.prod(shape[1:]))
            made[name] = rng.standard_normal(shape, np.float32) * np.float32((2 / fan_in) ** 0.5)
        elif name.endswith(("weight", "running_var")):
            made[name] = np.ones(shape, np.float32)
        else:
            made[name] = np.zeros(shape, np.int64 if name.endswith("num_batches_tracked") else np.float32)
    return made


def with_weights(torch: Any, model: Any) -> Any:
    """The model with `weights` of its shapes, the same in every framework."""
    made = _weights_for(model)
    model.load_state_dict({name: torch.from_numpy(np.asarray(value)) for name, value in made.items()})
    return model


def initial_weights(network: Callable[[Any], Any]) -> dict[str, np.ndarray]:
    """What `with_weights` gives this network, for frameworks in which it is written another way."""
    import minivision

    return _weights_for(network(minivision))


def _weights_for(model: Any) -> dict[str, np.ndarray]:
    shapes = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    return weights(shapes, np.random.default_rng(1))


def work_of(torch: Any, model: Any, x: Any) -> tuple[float, float, float]:
    """(operations, bytes, parameters) of one forward pass, added up over the layers while it runs.

    Each layer reads its input and its weights once and writes its output once.
    """
    flops = moved = 0.0

    def count(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        nonlocal flops, moved
        sizes = [float(np.prod(tuple(t.shape))) for t in (*inputs, output)]
        weight = getattr(module, "weight", None)
        shape = () if weight is None else tuple(weight.shape)
        moved += 4 * (sum(sizes) + (float(np.prod(shape)) if shape else 0))
        if isinstance(module, torch.nn.ConvTranspose2d):
            flops += 2 * sizes[0] * float(np.prod(shape[1:]))  # each input meets (out, kh, kw) weights
        elif isinstance(module, torch.nn.Conv2d):
            flops += 2 * sizes[-1] * float(np.prod(shape[1:]))  # each output sums over (in, kh, kw)

    leaves = [m for m in model.modules() if not list(m.children())]
    hooks = [m.register_forward_hook(count) for m in leaves]
    with torch.no_grad():
        model(x)
    for hook in hooks:
        hook.remove()
    return flops, moved, float(sum(np.prod(tuple(p.shape)) for p in model.parameters()))
