"""Tensors of two devices never meet silently: the message says where each of them is, and which call brings them together."""

from __future__ import annotations

import pytest

import minivision
from minivision import backend, nn, ops
from tests.strict_cupy import strict_cupy

F = nn.functional


def x(*shape):
    return minivision.ones(shape)


def labels(*shape):
    return minivision.zeros(shape, dtype=minivision.int64)


# operation, a call with `there` bringing a tensor to the GPU, the two arguments that are apart: on the CPU, on the GPU
CALLS = [
    ("conv2d", lambda there: F.conv2d(there(x(1, 3, 5, 5)), x(8, 3, 3, 3)), "weight", "input"),
    ("conv1d", lambda there: F.conv1d(x(1, 3, 5), x(8, 3, 3), there(x(8))), "input", "bias"),
    ("conv_transpose2d", lambda there: F.conv_transpose2d(x(1, 3, 5, 5), there(x(3, 4, 2, 2))), "input", "weight"),
    ("max_unpool2d", lambda there: F.max_unpool2d(x(1, 3, 2, 2), there(labels(1, 3, 2, 2)), 2), "input", "indices"),
    ("grid_sample", lambda there: F.grid_sample(there(x(1, 3, 4, 5)), x(1, 4, 5, 2)), "grid", "input"),
    ("roi_align", lambda there: ops.roi_align(there(x(1, 3, 4, 5)), x(2, 5), 2), "boxes", "input"),
    ("roi_pool", lambda there: ops.roi_pool(x(1, 3, 4, 5), [there(x(2, 4))], 2), "input", "boxes[0]"),
    ("box_iou", lambda there: ops.box_iou(x(2, 4), there(x(3, 4))), "boxes1", "boxes2"),
    ("complete_box_iou_loss", lambda there: ops.complete_box_iou_loss(x(2, 4), there(x(2, 4))), "boxes1", "boxes2"),
    ("nms", lambda there: ops.nms(there(x(2, 4)), x(2), 0.5), "scores", "boxes"),
    ("batched_nms", lambda there: ops.batched_nms(x(2, 4), x(2), there(labels(2)), 0.5), "boxes", "idxs"),
    ("sigmoid_focal_loss", lambda there: ops.sigmoid_focal_loss(there(x(2, 3)), x(2, 3)), "targets", "inputs"),
    ("batch_norm", lambda there: F.batch_norm(there(x(2, 3)), x(3), x(3)), "running_mean", "input"),
    ("instance_norm", lambda there: F.instance_norm(x(2, 3, 4), weight=there(x(3))), "input", "weight"),
    ("layer_norm", lambda there: F.layer_norm(there(x(2, 3)), 3, x(3)), "weight", "input"),
    ("cross_entropy", lambda there: F.cross_entropy(there(x(2, 3)), labels(2)), "target", "input"),
    ("cross_entropy", lambda there: F.cross_entropy(there(x(2, 3)), there(labels(2)), x(3)), "weight", "input"),
    (
        "weighted_cross_entropy",
        lambda there: F.weighted_cross_entropy(there(x(2, 3)), there(labels(2)), x(2)),
        "pixel_weight",
        "input",
    ),
    ("nll_loss", lambda there: F.nll_loss(x(2, 3), there(labels(2))), "input", "target"),
    ("dice_loss", lambda there: F.dice_loss(x(2, 3), there(labels(2))), "input", "target"),
    ("mse_loss", lambda there: F.mse_loss(there(x(2, 3)), x(2, 3)), "target", "input"),
    ("huber_loss", lambda there: F.huber_loss(there(x(2)), there(x(2)), weight=x(2)), "weight", "input"),
    ("binary_cross_entropy", lambda there: F.binary_cross_entropy(x(2), x(2), there(x(2))), "input", "weight"),
    ("kl_div", lambda there: F.kl_div(there(x(2, 3)), x(2, 3)), "target", "input"),
    ("embedding", lambda there: F.embedding(there(labels(2)), x(5, 3)), "weight", "input"),
    ("linear", lambda there: F.linear(there(x(2, 3)), x(5, 3)), "weight", "input"),
    ("linear", lambda there: nn.Linear(3, 5)(there(x(2, 3))), "weight", "input"),
    ("matmul", lambda there: minivision.matmul(x(2, 3), there(x(3, 4))), "input", "other"),
    ("bmm", lambda there: minivision.bmm(x(2, 2, 3), there(x(2, 3, 4))), "input", "mat2"),
    ("bilinear", lambda there: F.bilinear(x(2, 3), x(2, 4), there(x(5, 3, 4))), "input1", "weight"),
    ("prelu", lambda there: F.prelu(there(x(2, 3)), x(3)), "weight", "input"),
    ("cosine_similarity", lambda there: F.cosine_similarity(x(2, 3), there(x(2, 3))), "x1", "x2"),
    ("pairwise_distance", lambda there: F.pairwise_distance(there(x(2, 3)), x(2, 3)), "x2", "x1"),
]


@pytest.mark.parametrize(("operation", "call", "here", "there"), CALLS)
def test_two_devices(operation, call, here, there, device, monkeypatch):
    if device == "cpu":
        monkeypatch.setattr(backend, "cupy", lambda: strict_cupy)
    with pytest.raises(RuntimeError) as caught:
        call(lambda tensor: tensor.to("cuda"))
    message = str(caught.value)
    assert message.startswith(f"{operation}: ")
    assert f"{here} is on cpu" in message
    assert f"{there} is on cuda:0" in message
    assert f"call {here}.to('cuda:0')" in message or f"call {there}.to('cpu')" in message
