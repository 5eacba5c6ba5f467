"""The `minivision` command. Exit codes: 0 done, 1 failed, 2 bad input or usage, 130 stopped by Ctrl-C."""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from minivision import __version__, backend, data, demo, homework, info, models, training, viz
from minivision.data.optional import require
from minivision.nn import Module
from minivision.optim import Adam
from minivision.optim.lr_scheduler import OneCycleLR

# Exceptions about what the user gave; all others, such as a full disk, are failures.
BAD_INPUT = (ValueError, FileNotFoundError, FileExistsError, NotADirectoryError, IsADirectoryError)

EXAMPLES = """\
examples:
  minivision demo
      train four networks on a small set of image files, in minutes
  minivision train VOCdevkit --model fcn8s --crop 128
      learn from image files in the Pascal VOC layout
  minivision evaluate runs/fcn8s/best.safetensors VOCdevkit
      measure the result
  minivision predict runs/fcn8s/best.safetensors photos/
      segment pictures of any size

exit codes: 0 done, 1 failed, 2 bad input or usage, 130 stopped by Ctrl-C
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command with these arguments (those of the process by default) and return its exit code."""
    try:
        arguments = build_parser().parse_args(argv)
    except SystemExit as finished:  # --help, --version, or a wrong argument
        return int(finished.code or 0)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = warn
            code = arguments.run(arguments)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return complain("stopped by Ctrl-C", 130)
    except BrokenPipeError:  # whoever read our output, such as `head`, has gone; the flush at exit must not fail again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if arguments.debug:
            raise
        return complain(one_line(error), 2 if isinstance(error, BAD_INPUT) else 1)


def complain(message: str, code: int) -> int:
    """Print one line on stderr and return the exit code."""
    print(f"minivision: error: {message}", file=sys.stderr)
    return code


def warn(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning on one line, without the place in the source that it came from."""
    print(f"minivision: warning: {' '.join(str(message).split())}", file=sys.stderr)


def one_line(error: Exception) -> str:
    """Return what an exception says, without line breaks; its type too, if it is none that is raised for users to read."""
    message = " ".join(str(error).split())
    if isinstance(error, OSError) and error.strerror:
        message = error.strerror if error.filename is None else f"{error.filename}: {error.strerror}"
    if isinstance(error, MemoryError):
        return f"not enough memory{message and f' ({message})'}; use smaller images, batches or networks"
    meant_to_be_read = isinstance(error, (*BAD_INPUT, OSError, ImportError, RuntimeError, ArithmeticError)) and message
    return message if meant_to_be_read else f"{type(error).__name__}: {message} (--debug shows where)"


# ---- the subcommands ----


def run_demo(arguments: argparse.Namespace) -> int:
    demo.run(arguments.out, demo.QUICK if arguments.quick else demo.STANDARD, arguments.seed, arguments.device)
    return 0


def run_train(arguments: argparse.Namespace) -> int:
    out = arguments.out or Path("runs") / arguments.model
    if (out / "last.safetensors").exists() and not arguments.resume:
        raise FileExistsError(f"{out} holds a training run already; go on with --resume, or choose another --out")
    require("matplotlib.figure", "drawing the loss curve")  # better missed now than after the first epoch

    train_set = data.VOCSegmentation(arguments.data, arguments.year, arguments.image_set)
    backend.manual_seed(arguments.seed)
    model = models.create(arguments.model, num_classes=len(train_set.classes), **network_settings(arguments))
    resize = [data.Resize(arguments.size)] if arguments.size else []
    crop = [data.RandomCrop(arguments.crop, pad_if_needed=True)] if arguments.crop else []
    flip = [data.RandomHorizontalFlip()] if arguments.flip else []
    train_set.transforms = data.Compose([*resize, *crop, *flip, training.ToLegalSize(model)])
    loader = data.DataLoader(train_set, arguments.batch_size, shuffle=True, num_workers=arguments.workers, seed=arguments.seed)
    val_loader = None
    if arguments.val_set != "none":
        transforms = data.Compose([*resize, training.ToLegalSize(model)])
        val_set = data.VOCSegmentation(arguments.data, arguments.year, arguments.val_set, transforms=transforms)
        val_loader = data.DataLoader(val_set, num_workers=arguments.workers)  # one by one, as their sizes may differ

    print(f"{arguments.model} with {sum(p.numel() for p in model.parameters()):,} parameters, {train_set}, writing to {out}")
    optimizer = Adam(model.parameters(), arguments.lr)
    trainer = training.Trainer(
        model,
        loader,
        optimizer,
        scheduler=OneCycleLR(optimizer, arguments.lr, total_steps=arguments.epochs * len(loader)),
        scheduler_step="batch",
        clip_norm=arguments.clip_norm,
        val_loader=val_loader,
        classes=train_set.classes,
        device=arguments.device,
        folder=out,
        on_epoch_end=record,
    )
    history = trainer.fit(arguments.epochs, resume=arguments.resume)
    if history.interrupted:
        return complain(f"stopped by Ctrl-C; {out / 'last.safetensors'} is written, go on with --resume", 130)
    print(f"wrote {', '.join(str(path) for path in sorted(out.iterdir()))}")
    return 0


def run_evaluate(arguments: argparse.Namespace) -> int:
    dataset = data.VOCSegmentation(arguments.data, arguments.year, arguments.image_set)
    model, classes, normalize = load(arguments, dataset.classes)
    dataset.transforms = data.Compose([*normalize, training.ToLegalSize(model)])
    loader = data.DataLoader(dataset, num_workers=arguments.workers)
    confusion = training.evaluate(model, loader, len(classes), names=classes, progress=True)
    print(f"{arguments.checkpoint} on {dataset}")
    print(confusion)
    if arguments.json:
        facts = {
            "checkpoint": arguments.checkpoint,
            "data": dataset.folder,
            "image_set": arguments.image_set,
            "images": len(dataset),
        }
        demo.write_json(arguments.json, {**facts, "classes": classes, **confusion.compute(), "matrix": confusion.matrix})
    return 0


def run_predict(arguments: argparse.Namespace) -> int:
    images = list({path.resolve(): path for path in data.list_images(arguments.images)}.values())
    outputs = output_files(images, arguments.out)
    model, classes, normalize = load(arguments)
    data.make_folder(arguments.out)
    damaged = 0
    for path, (mask_file, overlay_file) in zip(images, outputs, strict=True):
        try:
            image = data.read_image(path)
        except ValueError as error:  # one damaged file must not hold up the others
            damaged = complain(one_line(error), 1)
            continue
        mask = training.segment(model, data.Compose(normalize)(image)[0])
        data.save_mask(mask_file, mask)
        overlay = viz.overlay(image, mask, palette=data.voc_palette())
        data.save_image(overlay_file, np.moveaxis(overlay, -1, 0) / 255)
        shares = np.bincount(mask.ravel(), minlength=len(classes)) / mask.size
        seen = ", ".join(f"{name} {share:.1%}" for name, share in zip(classes, shares, strict=True) if share > 0)
        print(f"{path} -> {mask_file}: {seen}", flush=True)
    return damaged


def run_info(arguments: argparse.Namespace) -> int:
    facts = info.collect()
    if arguments.json:
        print(json.dumps(facts, indent=2))
        return 0
    for name, value in facts.items():
        text = ", ".join(f"{key} {entry}" for key, entry in value.items()) if isinstance(value, dict) else value
        print(f"{name:11} {text}")
    return 0


# ---- the subcommands of `homework` ----


def run_homework_list(arguments: argparse.Namespace) -> int:
    print(homework.list())
    return 0


def run_homework_start(arguments: argparse.Namespace) -> int:
    file = homework.start(arguments.exercise, arguments.path, notebook=arguments.notebook)
    print(f"wrote {file}; check it with: minivision homework check {file}")
    return 0


def run_homework_check(arguments: argparse.Namespace) -> int:
    result = homework.check_file(arguments.file, time_limit=arguments.time_limit)
    print(result.to_json() if arguments.json else result)
    return 0 if result.ok else 1


def run_homework_hint(arguments: argparse.Namespace) -> int:
    print(homework.hint(arguments.exercise, arguments.folder))
    return 0


def run_homework_build(arguments: argparse.Namespace) -> int:
    print(homework.build(arguments.exercise, arguments.target, arguments.out))
    return 0


def run_homework_class(arguments: argparse.Namespace) -> int:
    view = homework.class_view(arguments.folder)
    print(view)
    if arguments.plot:
        viz.save(view.plot(), arguments.plot)
        print(f"\nwrote {arguments.plot}")
    return 0


# ---- helpers of `train` ----


def network_settings(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return what `models.create` needs beside the classes: the demo's small network, changed by --widths and --fc."""
    settings = dict(demo.STANDARD.networks[arguments.model])
    if arguments.widths:
        if arguments.model != "unet" and len(arguments.widths) != 5:
            raise ValueError(f"--widths: {arguments.model} has 5 blocks, but {len(arguments.widths)} widths are given")
        settings["widths"] = arguments.widths
    if arguments.fc:
        if arguments.model == "unet":
            raise ValueError("--fc: a U-Net has no fully connected layers; leave it out")
        settings["fc"] = arguments.fc
    return settings


def record(trainer: training.Trainer) -> None:
    """Write the history and the loss curve so far: they can be looked at while the training goes on."""
    assert trainer.folder is not None
    demo.write_json(trainer.folder / "history.json", trainer.history)
    viz.save(viz.loss_curve(trainer.history), trainer.folder / "loss.png")


# ---- helpers of `evaluate` and `predict` ----


def load(arguments: argparse.Namespace, expected: Sequence[str] | None = None) -> tuple[Module, list[str], list[data.Normalize]]:
    """Return the checkpoint's model, the names of its classes, and the normalisation of its images (one transform or none).

    Raises `CheckpointError` when the classes are not those `expected`.
    """
    model = training.load_model(
        arguments.checkpoint, num_classes=None if expected is None else len(expected), device=arguments.device
    )
    checkpoint = training.load_checkpoint(arguments.checkpoint)
    classes = checkpoint.classes or [f"class {label}" for label in range(checkpoint.num_classes or 0)]
    if expected is not None and checkpoint.classes is not None and list(expected) != classes:
        raise training.CheckpointError(
            f"{arguments.checkpoint} was trained for the classes {', '.join(classes)}, but the data has {', '.join(expected)}"
        )
    return model, classes, [data.Normalize(**checkpoint.normalization)] if checkpoint.normalization else []


def output_files(images: Iterable[Path], out: Path) -> list[tuple[Path, Path]]:
    """Return for each image the files of its mask and its overlay in the folder `out`, all different.

    NAME.jpg becomes NAME.png and NAME_overlay.png; if these are taken by an image before it, NAME-2.png, NAME-3.png, ...
    Raises `ValueError` if one of the files is an image to be predicted.
    """
    inputs = {path.resolve() for path in images}
    taken: set[str] = set()
    outputs = []
    for path in images:
        stems = itertools.chain([path.stem], (f"{path.stem}-{number}" for number in itertools.count(2)))
        pairs = ((f"{stem}.png", f"{stem}_overlay.png") for stem in stems)
        # in lower case, as some file systems do not tell A.png from a.png
        names = next(pair for pair in pairs if not taken & {name.lower() for name in pair})
        taken |= {name.lower() for name in names}
        outputs.append((out / names[0], out / names[1]))
    for file in itertools.chain.from_iterable(outputs):
        if file.resolve() in inputs:
            raise ValueError(f"{file} is one of the images, and its mask would replace it; choose another folder with --out")
    return outputs


# ---- the arguments ----


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(complain(f"{message}; see {self.prog} --help", 2))


def build_parser() -> Parser:
    parser = Parser(
        prog="minivision",
        description="Train and use segmentation networks written from scratch on NumPy.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"minivision {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, run: Any, text: str, epilog: str = "") -> Parser:
        sub = commands.add_parser(
            name, help=text, description=f"{text[0].upper()}{text[1:]}.", epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )  # fmt: skip
        sub.add_argument("--debug", action="store_true", help="show the whole traceback of an error")
        sub.set_defaults(run=run)
        return sub

    sub = command("demo", run_demo, "train a U-Net and three FCNs on a small set of image files")
    sub.add_argument("--out", type=Path, default=Path("demo"), help="folder for everything (default: demo)")
    sub.add_argument("--quick", action="store_true", help="a look at the machinery in seconds; learns next to nothing")
    add_machine(sub)

    sub = command("train", run_train, "train a network on a folder in the Pascal VOC layout", TRAIN_NOTES)
    add_data(sub, "train")
    sub.add_argument("--val-set", default="val", metavar="SPLIT", help="measured on after every epoch; none: not (default: val)")
    sub.add_argument("--model", choices=list(models.MODELS), default="unet", help="default: unet")
    sub.add_argument("--widths", type=widths, metavar="N,N,...", help="channels of each level (default: a small network)")
    sub.add_argument("--fc", type=positive, metavar="N", help="channels of the FCNs' fc6 and fc7")
    sub.add_argument("--epochs", type=positive, default=20, metavar="N", help="default: 20")
    sub.add_argument("--batch-size", type=positive, default=8, metavar="N", help="default: 8")
    sub.add_argument(
        "--lr", type=positive_float, default=3e-3, metavar="X", help="highest rate of Adam's one cycle (default: 3e-3)"
    )
    sub.add_argument("--clip-norm", type=positive_float, metavar="X", help="largest norm of all gradients together")
    sub.add_argument("--size", type=positive, metavar="N", help="resize all images: N pixels on the shorter side")
    sub.add_argument("--crop", type=positive, metavar="N", help="train on random crops of N x N pixels")
    sub.add_argument("--flip", action="store_true", help="swap left and right at random")
    sub.add_argument("--out", type=Path, metavar="DIR", help="folder of the run (default: runs/MODEL)")
    sub.add_argument("--resume", action="store_true", help="go on where the run in --out stopped; repeat its other arguments")
    sub.add_argument("--workers", type=natural, default=1, metavar="N", help="threads that load images ahead (default: 1)")
    add_machine(sub)

    sub = command("evaluate", run_evaluate, "measure a checkpoint on a folder in the Pascal VOC layout")
    sub.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a .safetensors file")
    add_data(sub, "val")
    sub.add_argument("--json", type=Path, metavar="FILE", help="write all measures there too")
    sub.add_argument("--workers", type=natural, default=1, metavar="N", help="threads that load images ahead (default: 1)")
    add_machine(sub, seed=False)

    sub = command("predict", run_predict, "segment images of any size", PREDICT_NOTES)
    sub.add_argument("checkpoint", type=Path, metavar="CHECKPOINT", help="a .safetensors file")
    sub.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="image files, or folders of them")
    sub.add_argument("--out", type=Path, default=Path("predictions"), metavar="DIR", help="default: predictions")
    add_machine(sub, seed=False)

    add_homework(command("homework", None, "exercises: write an operation, and have it checked", HOMEWORK_NOTES))

    sub = command("info", run_info, "print versions, BLAS, cores, devices")
    sub.add_argument("--json", action="store_true", help="as JSON")
    return parser


TRAIN_NOTES = """\
Images and masks are extended to sizes that the network takes; images of
different sizes need --crop, or --batch-size 1. The folder of the run gets
last.safetensors, history.json and loss.png after every epoch, and the best
weights as best.safetensors. Ctrl-C ends the training with a checkpoint.

example:
  minivision train VOCdevkit --crop 128 --flip --epochs 50 --out runs/first
"""
PREDICT_NOTES = """\
Writes for each image NAME.png, a palette mask whose indices are the labels,
and NAME_overlay.png. An image that cannot be read is reported and left out;
the others are written, and the exit code is 1. Files of an earlier prediction
are replaced, images that are predicted never.

example:
  minivision predict runs/unet/best.safetensors photo.jpg photos/ --out masks
"""


HOMEWORK_NOTES = """\
Checks run in a process of their own, with limits for time and memory; the
exit code is 0 only if all have passed.

example:
  minivision homework start relu
  minivision homework hint relu
  minivision homework check relu.py
"""


def add_homework(parser: Parser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True, parser_class=Parser)

    def command(name: str, run: Any, text: str) -> Parser:
        sub = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        # also here, where the whole command ends; without a default, which would undo the one before
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show the whole traceback of an error")
        sub.set_defaults(run=run)
        return sub

    command("list", run_homework_list, "list the exercises by topic")

    sub = command("start", run_homework_start, "write the file of an exercise; nothing is overwritten")
    sub.add_argument("exercise", metavar="NAME")
    sub.add_argument("--notebook", action="store_true", help="a notebook in place of a Python file")
    sub.add_argument("--path", type=str, metavar="PATH", help="file or folder (default: NAME.py in the current folder)")

    sub = command("check", run_homework_check, "check a file, .py or .ipynb")
    sub.add_argument("file", type=Path, metavar="FILE")
    sub.add_argument("--json", action="store_true", help="print the result as JSON")
    sub.add_argument("--time-limit", type=positive_float, default=10.0, metavar="S", help="seconds for each check (default: 10)")

    sub = command("hint", run_homework_hint, "open the next hint")
    sub.add_argument("exercise", metavar="NAME")
    sub.add_argument(
        "--folder", type=Path, default=Path(), metavar="DIR", help="where to remember it (default: the current folder)"
    )

    sub = command("build", run_homework_build, "write an exercise for a course platform")
    sub.add_argument("exercise", metavar="NAME")
    sub.add_argument("--target", choices=list(homework.TARGETS), default="student", help="default: student")
    sub.add_argument("--out", type=Path, default=Path("build"), metavar="DIR", help="default: build")

    sub = command("class", run_homework_class, "show how a whole class did: which checks fail, and why")
    sub.add_argument("folder", type=Path, metavar="DIR", help="folder of results, as `homework check FILE --json` prints them")
    sub.add_argument("--plot", type=Path, metavar="FILE", help="draw it too, as a .png")


def add_data(parser: Parser, image_set: str) -> None:
    parser.add_argument("data", type=Path, metavar="DATA", help="folder that holds VOCdevkit, or VOCdevkit itself")
    parser.add_argument("--image-set", default=image_set, metavar="SPLIT", help=f"default: {image_set}")
    parser.add_argument("--year", default="2012", help="of the folder VOC<year> (default: 2012)")


def add_machine(parser: Parser, seed: bool = True) -> None:
    parser.add_argument("--device", type=device, default="cpu", metavar="cpu|cuda", help="default: cpu")
    if seed:
        parser.add_argument("--seed", type=natural, default=0, metavar="N", help="a run repeats exactly (default: 0)")


def natural(text: str) -> int:
    return _number(text, int, lambda value: value >= 0, "a whole number of at least 0")


def positive(text: str) -> int:
    return _number(text, int, lambda value: value > 0, "a whole number of at least 1")


def positive_float(text: str) -> float:
    return _number(text, float, lambda value: 0 < value < float("inf"), "a positive number")


def widths(text: str) -> list[int]:
    return [positive(part) for part in text.replace("-", ",").split(",")]


def device(text: str) -> str:
    try:
        return str(backend.Device(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _number(text: str, kind: Any, allowed: Any, wanted: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
    return value
