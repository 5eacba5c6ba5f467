"""Checkpoints: what is written is read, by others too; what is damaged is named; what was there stays."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minivision import models, nn, optim
from minivision.autograd import Tensor
from minivision.training import (
    CheckpointError,
    load_checkpoint,
    load_model,
    load_weights,
    save_checkpoint,
    save_weights,
)
from tests.training.small import assert_same, small_model, weights_of

CONFIG = {"in_channels": 2, "num_classes": 4, "widths": [3, 5]}


@pytest.fixture
def unet():
    model = models.create("unet", **CONFIG)
    rng = np.random.default_rng(4)
    for tensor in model.state_dict().values():
        if tensor.is_floating_point():
            tensor.array[...] = rng.uniform(0.1, 1.0, tensor.shape)
    return model


def header_of(path: Path) -> dict:
    contents = path.read_bytes()
    return json.loads(contents[8 : 8 + int.from_bytes(contents[:8], "little")])


def rewrite_header(path: Path, **strings: str) -> None:
    header = header_of(path)["__metadata__"] | strings
    save_file(load_file(path), path, metadata=header)


def adam_after_a_step(model):
    optimizer = optim.Adam(model.parameters(), lr=0.01, betas=(0.8, 0.9))
    for i, p in enumerate(model.parameters()):
        p.grad = Tensor(np.full(p.shape, 0.1 * (i + 1), p.dtype))
    optimizer.step()
    return optimizer


def test_everything_comes_back(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    optimizer = adam_after_a_step(unet)
    training = {"epoch": 3, "random": {"state": 2**127 + 1}, "rate": 0.1 + 0.2, "nothing": None}
    save_checkpoint(
        path, unet, optimizer=optimizer, classes=["a", "b", "c", "d"], normalization={"mean": np.array([0.5, 0.25])},
        results={"mean_iou": np.float32(0.5)}, training=training,
    )  # fmt: skip
    checkpoint = load_checkpoint(path)
    assert_same(checkpoint.weights, weights_of(unet))
    assert checkpoint.config == unet.config
    assert checkpoint.classes == ["a", "b", "c", "d"]
    assert checkpoint.num_classes == 4
    assert checkpoint.normalization == {"mean": [0.5, 0.25]}
    assert checkpoint.results == {"mean_iou": 0.5}
    assert checkpoint.training == training
    saved, loaded = optimizer.state_dict(), checkpoint.optimizer_state
    assert loaded["type"] == "Adam"
    assert_same(loaded["state"], saved["state"])
    assert loaded["param_groups"] == [{**saved["param_groups"][0], "betas": [0.8, 0.9]}]


def test_the_file_says_what_it_is(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet, optimizer=adam_after_a_step(unet))
    header = header_of(path)
    strings = header.pop("__metadata__")
    assert strings["format"] == "minivision checkpoint"
    assert strings["format_version"] == "1"
    assert json.loads(strings["config"]) == unet.config
    assert all(isinstance(value, str) for value in strings.values())
    assert set(unet.state_dict()) < set(header)
    assert "optimizer/0/exp_avg" in header


def test_the_model_is_built_again(tmp_path, unet, rng):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    model = load_model(path, num_classes=4)
    assert not model.training
    x = Tensor(rng.standard_normal((1, 2, 6, 4)).astype("float32"))
    assert np.array_equal(model(x).array, unet.eval()(x).array)


@pytest.mark.parametrize("name", models.MODELS)
def test_every_model_describes_itself(tmp_path, name):
    path = tmp_path / "model.safetensors"
    small = {"widths": [2, 3]} if name == "unet" else {"widths": [2, 2, 2, 2, 2], "fc": 3}
    model = models.create(name, in_channels=1, num_classes=5, **small)
    save_checkpoint(path, model)
    assert load_checkpoint(path).config == model.config
    assert_same(weights_of(load_model(path)), weights_of(model))


def test_float64_stays_float64(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet.double())
    assert_same(weights_of(load_model(path)), weights_of(unet))


def test_on_a_device(tmp_path, unet, device):
    path = tmp_path / "model.safetensors"
    on_cpu = weights_of(unet)
    save_checkpoint(path, unet.to(device), optimizer=adam_on(unet))
    assert_same(load_checkpoint(path).weights, on_cpu)
    assert load_model(path, device=device).device == device


def adam_on(model):
    optimizer = optim.Adam(model.parameters())
    for p in model.parameters():
        p.grad = Tensor(p.array * 0)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_weights_alone(tmp_path, dtype):
    path = tmp_path / "weights.safetensors"
    model = small_model().to(np.dtype(dtype))
    save_weights(path, model)
    assert_same(load_file(path), weights_of(model))
    other = small_model().to(np.dtype(dtype))
    assert load_weights(path, other) == []
    assert_same(weights_of(other), weights_of(model))


def test_weights_in_any_memory_layout(tmp_path):
    model = nn.Sequential(nn.Conv2d(3, 4, 5))
    values = model[0].weight.array.copy()
    model[0].weight.array = np.ascontiguousarray(values.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    save_weights(tmp_path / "weights.safetensors", model)
    assert_same(load_file(tmp_path / "weights.safetensors")["0.weight"], values)


@pytest.mark.oracle
def test_pytorch_reads_and_writes_the_same_files(tmp_path):
    import torch
    from safetensors.torch import load_file as torch_load
    from safetensors.torch import save_file as torch_save

    ours = small_model()
    save_checkpoint(tmp_path / "ours.safetensors", ours)
    layers = torch.nn
    theirs = layers.Sequential(
        layers.Conv2d(2, 4, 3, padding=1), layers.BatchNorm2d(4), layers.ReLU(), layers.Dropout(0.3), layers.Conv2d(4, 3, 1)
    )
    theirs.load_state_dict(torch_load(tmp_path / "ours.safetensors"))
    assert_same({name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, weights_of(ours))
    with torch.no_grad():
        theirs[0].weight += 1
    torch_save(theirs.state_dict(), tmp_path / "theirs.safetensors")
    load_weights(tmp_path / "theirs.safetensors", ours)
    assert_same({name: tensor.numpy() for name, tensor in theirs.state_dict().items()}, weights_of(ours))
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    with pytest.raises(CheckpointError, match=r"is not a safetensors file but a pickle, which can run code .*safetensors.torch"):
        load_weights(tmp_path / "theirs.pt", ours)


def truncated_header(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:50])


def truncated_numbers(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def garbage(path: Path) -> None:
    path.write_bytes(b"this is no safetensors file, whatever its name says")


def empty(path: Path) -> None:
    path.write_bytes(b"")


def broken_header(path: Path) -> None:
    contents = bytearray(path.read_bytes())
    contents[20:24] = b"\xff\xff\xff\xff"
    path.write_bytes(bytes(contents))


def wrong_offsets(path: Path) -> None:
    length = 64
    text = json.dumps({"w": {"dtype": "F32", "shape": [3], "data_offsets": [0, 8]}}).encode().ljust(length)
    path.write_bytes(length.to_bytes(8, "little") + text + bytes(8))


def bfloat16(path: Path) -> None:
    text = json.dumps({"w": {"dtype": "BF16", "shape": [2], "data_offsets": [0, 4]}}).encode().ljust(64)
    path.write_bytes((64).to_bytes(8, "little") + text + bytes(4))


def newer(path: Path) -> None:
    rewrite_header(path, format_version="2", minivision_version="3.1")


def garbled(path: Path) -> None:
    rewrite_header(path, classes="[1, ")


def only_weights(path: Path) -> None:
    save_file(load_file(path), path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated_header, r"is truncated: its header has \d+ bytes, of which 42 are there"),
        (truncated_numbers, r"is truncated: it should have (\d+) bytes, but has \d+; copy it again"),
        (garbage, "is not a safetensors file"),
        (empty, "is empty"),
        (broken_header, "is damaged: its header cannot be read"),
        (wrong_offsets, "is damaged"),
        (bfloat16, "has numbers of type 'BF16', which NumPy lacks"),
        (newer, r"has checkpoint format 2, written by minivision 3.1, .* reads up to format 1: pip install --upgrade minivision"),
        (garbled, "is damaged: its header lacks or garbles"),
        (only_weights, r"holds weights, but is no minivision checkpoint; call load_weights\(path, model\)"),
    ],
)  # fmt: skip
def test_files_that_cannot_be_used(tmp_path, unet, damage, message):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_checkpoint(path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_every_truncation_is_noticed(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    contents = path.read_bytes()
    rng = np.random.default_rng(0)
    for length in rng.integers(0, len(contents), 40):
        path.write_bytes(contents[:length])
        with pytest.raises(CheckpointError, match=r"is truncated|is empty|is not a safetensors file"):
            load_model(path)


def test_a_missing_file_and_a_folder(tmp_path, unet):
    save_checkpoint(tmp_path / "best.safetensors", unet)
    with pytest.raises(FileNotFoundError, match=r"there is no file .*bset.safetensors; its folder has best.safetensors"):
        load_model(tmp_path / "bset.safetensors")
    with pytest.raises(CheckpointError, match=r"is a folder; name a .safetensors file; its folder has best.safetensors"):
        load_model(tmp_path)
    with pytest.raises(FileNotFoundError, match="there is no file"):
        load_checkpoint(tmp_path / "nowhere" / "best.safetensors")


def test_another_number_of_classes(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    with pytest.raises(CheckpointError, match=r"was trained for 4 classes, but 21 are wanted; use num_classes=4, or start from"):
        load_model(path, num_classes=21)
    other = models.create("unet", **{**CONFIG, "num_classes": 21})
    before = weights_of(other)
    with pytest.raises(CheckpointError, match="trained for 4 classes, but 21 are wanted"):
        load_weights(path, other)
    assert_same(weights_of(other), before)
    # the way out that the message names
    assert load_weights(path, other, strict=False) == ["head.weight", "head.bias"]
    after = weights_of(other)
    for name, array in weights_of(unet).items():
        assert np.array_equal(after[name], before[name] if name.startswith("head") else array)


def test_weights_of_another_network_change_nothing(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    save_weights(path, unet)
    model = small_model()
    before = weights_of(model)
    with pytest.raises(CheckpointError, match=r"does not fit this Sequential; missing: 0.weight"):
        load_weights(path, model)
    with pytest.raises(CheckpointError, match=r"none of its \d+ weights fits this Sequential by name and shape"):
        load_weights(path, model, strict=False)
    assert_same(weights_of(model), before)


def test_a_model_that_cannot_be_described(tmp_path):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, small_model(), classes=["a", "b", "c"])
    assert load_checkpoint(path).num_classes == 3
    with pytest.raises(CheckpointError, match="has no description of the model"):
        load_model(path)


def test_a_model_that_this_version_does_not_know(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    rewrite_header(path, config=json.dumps({"name": "perceptron"}))
    with pytest.raises(CheckpointError, match=r"cannot be built here: models.create: 'perceptron' is unknown"):
        load_model(path)


def test_what_json_cannot_hold_is_refused_before_writing(tmp_path, unet):
    path = tmp_path / "model.safetensors"
    with pytest.raises(TypeError, match="results holds a object, which JSON cannot hold"):
        save_checkpoint(path, unet, results={"thing": object()})
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_leaves_the_previous_file(tmp_path, unet, monkeypatch):
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match=r"could not write .*model.safetensors: No space left on device; the previous"):
        save_checkpoint(path, unet, classes=list("abcd"))
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits the size of files, as POSIX can")
def test_a_write_that_fails_half_way(tmp_path, unet):
    import resource

    path = tmp_path / "model.safetensors"
    save_checkpoint(path, unet)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large; the previous file is intact"):
            save_checkpoint(path, unet)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["model.safetensors"]


WRITER = """
import sys
import numpy as np
from minivision import nn
from minivision.training import save_checkpoint
model = nn.Sequential(nn.Linear(300, 400))
start = int(sys.argv[2])
for number in range(start, start + 100_000):
    model[0].weight.array[...] = number
    model[0].bias.array[...] = number
    save_checkpoint(sys.argv[1], model, training={"number": number})
    if number == start:
        print("writing", flush=True)
"""


def test_killed_at_any_moment_the_file_is_whole(tmp_path):
    path = tmp_path / "model.safetensors"
    root = Path(__file__).parents[2]
    moments = random.Random(0)
    last = -1
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", WRITER, str(path), str(last + 1)], cwd=root, stdout=subprocess.PIPE)
        assert child.stdout.readline().strip() == b"writing"
        time.sleep(moments.uniform(0.02, 0.12))
        child.kill()
        child.wait()
        child.stdout.close()
        checkpoint = load_checkpoint(path)
        number = checkpoint.training["number"]
        assert number > last
        assert all((array == number).all() for array in checkpoint.weights.values())
        last = number
