"""Losses."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(3))",
        ValueError,
        "cross_entropy: input (N, C, ...) = (2, 5) needs a target of shape (2,), but target has (3,)",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2) + 5)",
        ValueError,
        ("cross_entropy: label 5 at target[0] is not one of the 5 classes 0 .. 4, nor ignore_index=-100 (labels count from 0)"),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5, 4, 4), labels(2, 4, 4) + 255)",
        ValueError,
        (
            "cross_entropy: label 255 at target[0, 0, 0] is not one of the 5 classes 0 .. 4, nor ignore_index=-100 (255 "
            "usually marks void pixels: pass ignore_index=255)"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2) - 1)",
        ValueError,
        (
            "cross_entropy: label -1 at target[0] is not one of the 5 classes 0 .. 4, nor ignore_index=-100 (if -1 marks "
            "pixels to leave out, pass ignore_index=-1)"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), x(2))",
        ValueError,
        (
            "cross_entropy: target is float32 (2,); floating targets are probabilities and must have the input's shape (2, "
            "5); labels must be integers: target.long()"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2, 1))",
        ValueError,
        (
            "cross_entropy: input (N, C, ...) = (2, 5) needs a target of shape (2,), but target has (2, 1); remove the "
            "channel axis with target.squeeze(1)"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2, 5))",
        ValueError,
        (
            "cross_entropy: input (N, C, ...) = (2, 5) needs a target of shape (2,), but target has (2, 5); turn one-hot "
            "targets into labels with target.argmax(1), or make them floating probabilities"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5, 4, 4), labels(2, 1, 4, 4))",
        ValueError,
        (
            "cross_entropy: input (N, C, ...) = (2, 5, 4, 4) needs a target of shape (2, 4, 4), but target has (2, 1, 4, 4); "
            "remove the channel axis with target.squeeze(1)"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), mask(2))",
        TypeError,
        "cross_entropy: target is bool (2,), but must hold integer labels; convert it with .long()",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(5), labels(2))",
        ValueError,
        (
            "cross_entropy: input (5,) holds the scores of a single sample, so target must be one label, of shape (), but has "
            "(2,); give a batch of 2 an input of shape (2, C)"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), x(4))",
        ValueError,
        "cross_entropy: weight has shape (4,), but input (N, C, ...) = (2, 5) has 5 classes, so it must be (5,)",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), x64(5))",
        TypeError,
        ("cross_entropy: input is float32, but weight is float64; convert one of them (.float(), .double(), or module.double())"),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), reduction='average')",
        ValueError,
        "cross_entropy: reduction='average' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), None, False)",
        ValueError,
        (
            "cross_entropy: size_average=False is a setting of old programs that reduction has replaced; name the argument, "
            "as in reduction='sum'"
        ),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), label_smoothing=1.5)",
        ValueError,
        "cross_entropy: label_smoothing=1.5 is the share that the other classes get and must lie in [0, 1]",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), label_smoothing='0.1')",
        TypeError,
        "cross_entropy: label_smoothing='0.1' must be a number, not str",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), labels(2), ignore_index=None)",
        TypeError,
        "cross_entropy: ignore_index=None must be an int",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(labels(2, 5), labels(2))",
        TypeError,
        "cross_entropy: input is int64 (2, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), x64(2, 5))",
        TypeError,
        ("cross_entropy: input is float32, but target is float64; convert one of them (.float(), .double(), or module.double())"),
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 0), labels(2))",
        ValueError,
        "cross_entropy: input (N, C, ...) = (2, 0) has no class; its axis 1 must have a length",
    ),
    Bad(
        "cross_entropy",
        "F.cross_entropy(x(2, 5), None)",
        TypeError,
        "cross_entropy: target is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "weighted_cross_entropy",
        "F.weighted_cross_entropy(x(2, 5, 4, 4), labels(2, 4, 4), x(4, 4))",
        ValueError,
        "weighted_cross_entropy: pixel_weight has shape (4, 4), but target has (2, 4, 4); each pixel needs a weight",
    ),
    Bad(
        "weighted_cross_entropy",
        "F.weighted_cross_entropy(x(2, 5, 4, 4), x(2, 4, 4), x(2, 4, 4))",
        TypeError,
        "weighted_cross_entropy: target is float32 (2, 4, 4), but must hold integer labels; convert it with .long()",
    ),
    Bad(
        "weighted_cross_entropy",
        "F.weighted_cross_entropy(x(2, 5, 4, 4), labels(2, 4, 4) + 7, x(2, 4, 4))",
        ValueError,
        "weighted_cross_entropy: label 7 at target[0, 0, 0] is not one of the 5 classes 0 .. 4, nor ignore_index=-100",
    ),
    Bad(
        "weighted_cross_entropy",
        "F.weighted_cross_entropy(x(2, 5, 4, 4), labels(2, 4, 4), 'map')",
        TypeError,
        "weighted_cross_entropy: pixel_weight is 'map' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "nll_loss",
        "F.nll_loss(x(2, 5), x(2))",
        TypeError,
        "nll_loss: target is float32 (2,), but must hold integer labels; use cross_entropy for probabilities",
    ),
    Bad(
        "nll_loss",
        "F.nll_loss(x(2, 5), labels(2, 3))",
        ValueError,
        "nll_loss: input (N, C, ...) = (2, 5) needs a target of shape (2,), but target has (2, 3)",
    ),
    Bad(
        "nll_loss",
        "F.nll_loss(x(2, 5), labels(2) + 9)",
        ValueError,
        "nll_loss: label 9 at target[0] is not one of the 5 classes 0 .. 4, nor ignore_index=-100",
    ),
    Bad(
        "nll_loss",
        "F.nll_loss(x(2, 5), labels(2), x(3))",
        ValueError,
        "nll_loss: weight has shape (3,), but input (N, C, ...) = (2, 5) has 5 classes, so it must be (5,)",
    ),
    Bad(
        "nll_loss",
        "F.nll_loss(x(2, 5), labels(2), reduction=None)",
        ValueError,
        "nll_loss: reduction=None is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "focal_loss",
        "F.focal_loss(x(2, 5), labels(2), gamma=-1)",
        ValueError,
        "focal_loss: gamma=-1 must not be negative; 0 gives cross_entropy, 2 is the paper's",
    ),
    Bad(
        "focal_loss",
        "F.focal_loss(x(2, 5), x(2))",
        TypeError,
        "focal_loss: target is float32 (2,), but must hold integer labels; convert it with .long()",
    ),
    Bad(
        "focal_loss",
        "F.focal_loss(x(2, 5), labels(2) + 5)",
        ValueError,
        "focal_loss: label 5 at target[0] is not one of the 5 classes 0 .. 4, nor ignore_index=-100 (labels count from 0)",
    ),
    Bad(
        "focal_loss",
        "F.focal_loss(x(2, 5), labels(2), weight=x(2))",
        ValueError,
        "focal_loss: weight has shape (2,), but input (N, C, ...) = (2, 5) has 5 classes, so it must be (5,)",
    ),
    Bad(
        "focal_loss",
        "F.focal_loss(x(2, 5), labels(2), gamma='2')",
        TypeError,
        "focal_loss: gamma='2' must be a number, not str",
    ),
    Bad(
        "dice_loss",
        "F.dice_loss(x(5), labels())",
        ValueError,
        "dice_loss: input has shape (5,), but scores need a batch and a class axis: (N, C) or (N, C, H, W)",
    ),
    Bad(
        "dice_loss",
        "F.dice_loss(x(2, 5, 4, 4), x(2, 4, 4))",
        TypeError,
        "dice_loss: target is float32 (2, 4, 4), but must hold integer labels; convert it with .long()",
    ),
    Bad(
        "dice_loss",
        "F.dice_loss(x(2, 5, 4, 4), labels(2, 4, 3))",
        ValueError,
        "dice_loss: input (N, C, ...) = (2, 5, 4, 4) needs a target of shape (2, 4, 4), but target has (2, 4, 3)",
    ),
    Bad(
        "dice_loss",
        "F.dice_loss(x(2, 5, 4, 4), labels(2, 4, 4), smooth=-1)",
        ValueError,
        "dice_loss: smooth=-1 must not be negative",
    ),
    Bad(
        "dice_loss",
        "F.dice_loss(x(2, 5, 4, 4), labels(2, 4, 4), reduction='avg')",
        ValueError,
        "dice_loss: reduction='avg' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "mse_loss",
        "F.mse_loss(x(2, 3), x(2, 4))",
        ValueError,
        ("mse_loss: input (2, 3) and target (2, 4) do not broadcast: 3 against 4 at axis -1, where lengths must be equal or 1"),
    ),
    Bad(
        "mse_loss",
        "F.mse_loss(labels(2, 3), labels(2, 3))",
        TypeError,
        "mse_loss: input is int64 (2, 3) and target int64 (2, 3); convert them with .float()",
    ),
    Bad(
        "mse_loss",
        "F.mse_loss(mask(2, 3), x(2, 3))",
        TypeError,
        "mse_loss: input is bool (2, 3), but must be numbers; convert it with .float()",
    ),
    Bad(
        "mse_loss",
        "F.mse_loss(x(2, 3), x(2, 3), 'sum')",
        ValueError,
        (
            "mse_loss: size_average='sum' is a setting of old programs that reduction has replaced; name the argument, as in "
            "reduction='sum'"
        ),
    ),
    Bad(
        "mse_loss",
        "F.mse_loss(x(2, 3), x(2, 3), reduction='rmse')",
        ValueError,
        "mse_loss: reduction='rmse' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "mse_loss",
        "F.mse_loss(x(2, 3), x(2, 3), weight=x(3))",
        ValueError,
        "mse_loss: weight has shape (3,), but input has (2, 3); each number needs a weight",
    ),
    Bad(
        "l1_loss",
        "F.l1_loss(x(2, 3), x(3, 3))",
        ValueError,
        ("l1_loss: input (2, 3) and target (3, 3) do not broadcast: 2 against 3 at axis -2, where lengths must be equal or 1"),
    ),
    Bad(
        "l1_loss",
        "F.l1_loss(x(2, 3), None)",
        TypeError,
        "l1_loss: target is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "l1_loss",
        "F.l1_loss(x(2, 3), x(2, 3), reduction='l2')",
        ValueError,
        "l1_loss: reduction='l2' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "smooth_l1_loss",
        "F.smooth_l1_loss(x(2, 3), x(2, 3), beta=-1)",
        ValueError,
        "smooth_l1_loss: beta=-1 is a distance and must not be negative",
    ),
    Bad(
        "smooth_l1_loss",
        "F.smooth_l1_loss(x(2, 3), x(2, 3), beta=None)",
        TypeError,
        "smooth_l1_loss: beta=None must be a number",
    ),
    Bad(
        "smooth_l1_loss",
        "F.smooth_l1_loss(x(2, 3), x(5))",
        ValueError,
        (
            "smooth_l1_loss: input (2, 3) and target (5,) do not broadcast: 3 against 5 at axis -1, where lengths must be "
            "equal or 1"
        ),
    ),
    Bad(
        "huber_loss",
        "F.huber_loss(x(2, 3), x(2, 3), delta=0)",
        ValueError,
        "huber_loss: delta=0 is the distance where the parabola ends and must be positive",
    ),
    Bad(
        "huber_loss",
        "F.huber_loss(x(2, 3), x(2, 3), delta=float('inf'))",
        ValueError,
        "huber_loss: delta=inf must be a finite number",
    ),
    Bad(
        "huber_loss",
        "F.huber_loss(x(2, 3), x(2, 3), weight=x(2, 4))",
        ValueError,
        "huber_loss: weight has shape (2, 4), but input has (2, 3); each number needs a weight",
    ),
    Bad(
        "binary_cross_entropy",
        "F.binary_cross_entropy(x(2, 3), x(2, 4))",
        ValueError,
        "binary_cross_entropy: input has shape (2, 3), but target has (2, 4); they must be equal",
    ),
    Bad(
        "binary_cross_entropy",
        "F.binary_cross_entropy(x(2, 1), x(2))",
        ValueError,
        "binary_cross_entropy: input has shape (2, 1), but target has (2,); they must be equal; use target.reshape(2, 1)",
    ),
    Bad(
        "binary_cross_entropy",
        "F.binary_cross_entropy(x(2, 3) * 3, x(2, 3))",
        ValueError,
        (
            "binary_cross_entropy: input holds 3, which is no probability in [0, 1]; give the sigmoid of scores, or use "
            "binary_cross_entropy_with_logits"
        ),
    ),
    Bad(
        "binary_cross_entropy",
        "F.binary_cross_entropy(x(2, 3), x(2, 3) * 255)",
        ValueError,
        ("binary_cross_entropy: target holds 255, which is no probability in [0, 1]; give 0 and 1, as in (mask > 0).float()"),
    ),
    Bad(
        "binary_cross_entropy",
        "F.binary_cross_entropy(x(2, 3), labels(2, 3))",
        TypeError,
        "binary_cross_entropy: target is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "binary_cross_entropy",
        "F.binary_cross_entropy(x(2, 3), x(2, 3), x(2))",
        ValueError,
        "binary_cross_entropy: weight has shape (2,), which does not broadcast to input (2, 3)",
    ),
    Bad(
        "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x(2, 3), x(3, 2))",
        ValueError,
        (
            "binary_cross_entropy_with_logits: input has shape (2, 3), but target has (3, 2); they must be equal; use "
            "target.reshape(2, 3)"
        ),
    ),
    Bad(
        "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x(2, 3), mask(2, 3))",
        TypeError,
        "binary_cross_entropy_with_logits: target is bool (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x(2, 3), x(2, 3), pos_weight=x(2))",
        ValueError,
        "binary_cross_entropy_with_logits: pos_weight has shape (2,), which does not broadcast to input (2, 3)",
    ),
    Bad(
        "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x(2, 3), x(2, 3), weight='1')",
        TypeError,
        "binary_cross_entropy_with_logits: weight is '1' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "binary_cross_entropy_with_logits",
        "F.binary_cross_entropy_with_logits(x(2, 3), x(2, 3), reduction='batchmean')",
        ValueError,
        "binary_cross_entropy_with_logits: reduction='batchmean' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "kl_div",
        "F.kl_div(x(2, 3), x(2, 4))",
        ValueError,
        ("kl_div: input (2, 3) and target (2, 4) do not broadcast: 3 against 4 at axis -1, where lengths must be equal or 1"),
    ),
    Bad(
        "kl_div",
        "F.kl_div(x(2, 3), labels(2, 3))",
        TypeError,
        "kl_div: target is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "kl_div",
        "F.kl_div(x(2, 3), x(2, 3), reduction='average')",
        ValueError,
        "kl_div: reduction='average' is unknown; use 'batchmean', 'mean', 'sum' or 'none'",
    ),
    Bad(
        "kl_div",
        "F.kl_div(x(2, 3), x(2, 3), log_target='yes')",
        TypeError,
        "kl_div: log_target='yes' must be True or False, not str",
    ),
]
