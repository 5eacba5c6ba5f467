"""Normalisation and dropout."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "batch_norm",
        "F.batch_norm(x(3), None, None, training=True)",
        ValueError,
        "batch_norm: input has shape (3,), but needs a channel axis: (N, C, *)",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(1, 3), None, None, training=True)",
        ValueError,
        (
            "batch_norm: in training each channel needs more than one value to have a variance, but input (1, 3) has one per "
            "channel; use a larger batch, group_norm, or module.eval()"
        ),
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), None, None)",
        ValueError,
        "batch_norm: running_mean and running_var are needed, because without training=True they are what to normalise by",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(4), x(3))",
        ValueError,
        "batch_norm: running_mean has shape (4,), but input (2, 3, 4, 4) has 3 channels, so it must be (3,)",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(3), None, training=True)",
        ValueError,
        "batch_norm: running_mean is given, but running_var is None; give both or neither",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), labels(3), x(3))",
        TypeError,
        ("batch_norm: running_mean is an int64 tensor of shape (3,), but must be a floating tensor, which training writes into"),
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(3), x(3), x(4))",
        ValueError,
        "batch_norm: weight has shape (4,), but input (2, 3, 4, 4) has 3 channels, so it must be (3,)",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(3), x(3), x(3), x64(3))",
        TypeError,
        "batch_norm: input is float32, but bias is float64; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(3), x(3), training='yes')",
        TypeError,
        "batch_norm: training='yes' must be True or False, not str",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(3), x(3), momentum=None)",
        TypeError,
        "batch_norm: momentum=None must be a number",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(x(2, 3, 4, 4), x(3), x(3), eps=-1e-5)",
        ValueError,
        "batch_norm: eps=-1e-05 must not be negative",
    ),
    Bad(
        "batch_norm",
        "F.batch_norm(labels(2, 3, 4, 4), x(3), x(3))",
        TypeError,
        "batch_norm: input is int64 (2, 3, 4, 4), but must be floating; convert it with .float()",
    ),
    Bad(
        "instance_norm",
        "F.instance_norm(x(2, 3, 1, 1))",
        ValueError,
        (
            "instance_norm: each channel of a sample needs more than one value to have a variance, but input (N, C, *) = (2, "
            "3, 1, 1) has one; use a larger image, or batch_norm"
        ),
    ),
    Bad(
        "instance_norm",
        "F.instance_norm(x(3))",
        ValueError,
        "instance_norm: input has shape (3,), but needs a channel axis: (N, C, *)",
    ),
    Bad(
        "instance_norm",
        "F.instance_norm(x(2, 3, 4, 4), x(2), x(3))",
        ValueError,
        "instance_norm: running_mean has shape (2,), but input (2, 3, 4, 4) has 3 channels, so it must be (3,)",
    ),
    Bad(
        "instance_norm",
        "F.instance_norm(x(2, 3, 4, 4), use_input_stats=False)",
        ValueError,
        (
            "instance_norm: running_mean and running_var are needed, because without use_input_stats=True they are what to "
            "normalise by"
        ),
    ),
    Bad(
        "instance_norm",
        "F.instance_norm(x(2, 3, 4, 4), weight=x(1))",
        ValueError,
        "instance_norm: weight has shape (1,), but input (2, 3, 4, 4) has 3 channels, so it must be (3,)",
    ),
    Bad(
        "instance_norm",
        "F.instance_norm(x(2, 3, 4, 4), eps='small')",
        TypeError,
        "instance_norm: eps='small' must be a number, not str",
    ),
    Bad(
        "group_norm",
        "F.group_norm(x(2, 6, 4, 4), 4)",
        ValueError,
        "group_norm: num_groups=4 must divide the 6 channels of input (2, 6, 4, 4)",
    ),
    Bad(
        "group_norm",
        "F.group_norm(x(2, 6, 4, 4), 0)",
        ValueError,
        "group_norm: num_groups=0 must be at least 1",
    ),
    Bad(
        "group_norm",
        "F.group_norm(x(2, 6, 4, 4), 3.0)",
        TypeError,
        "group_norm: num_groups=3.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "group_norm",
        "F.group_norm(x(2, 6, 4, 4), 3, x(3))",
        ValueError,
        "group_norm: weight has shape (3,), but input (2, 6, 4, 4) has 6 channels, so it must be (6,)",
    ),
    Bad(
        "group_norm",
        "F.group_norm(x(6), 3)",
        ValueError,
        "group_norm: input has shape (6,), but needs a channel axis: (N, C, *)",
    ),
    Bad(
        "group_norm",
        "F.group_norm(mask(2, 6, 4, 4), 3)",
        TypeError,
        "group_norm: input is bool (2, 6, 4, 4), but must be floating; convert it with .float()",
    ),
    Bad(
        "layer_norm",
        "F.layer_norm(x(2, 6, 4, 5), (4, 4))",
        ValueError,
        (
            "layer_norm: input has shape (2, 6, 4, 5), but normalized_shape=(4, 4) must be the lengths of its last axes, "
            "which are (4, 5)"
        ),
    ),
    Bad(
        "layer_norm",
        "F.layer_norm(x(2, 6, 4, 5), ())",
        ValueError,
        "layer_norm: normalized_shape=() must be an int or a sequence of them, the lengths of the input's last axes",
    ),
    Bad(
        "layer_norm",
        "F.layer_norm(x(2, 6, 4, 5), 5.0)",
        TypeError,
        (
            "layer_norm: normalized_shape=5.0 must be an int or a sequence of them, the lengths of the input's last axes, not "
            "float; for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "layer_norm",
        "F.layer_norm(x(2, 6, 4, 5), (4, 5), x(5))",
        ValueError,
        "layer_norm: weight has shape (5,), but normalized_shape is (4, 5), so it must be (4, 5)",
    ),
    Bad(
        "layer_norm",
        "F.layer_norm(x(2, 6, 4, 5), None)",
        TypeError,
        "layer_norm: normalized_shape=None must be an int or a sequence of them, the lengths of the input's last axes",
    ),
    Bad(
        "layer_norm",
        "F.layer_norm(labels(2, 5), 5)",
        TypeError,
        "layer_norm: input is int64 (2, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "local_response_norm",
        "F.local_response_norm(x(2, 3), 5)",
        ValueError,
        "local_response_norm: input has shape (2, 3), but must be (N, C, *) with at least 3 axes",
    ),
    Bad(
        "local_response_norm",
        "F.local_response_norm(x(2, 3, 4, 4), 0)",
        ValueError,
        "local_response_norm: size=0 must be at least 1",
    ),
    Bad(
        "local_response_norm",
        "F.local_response_norm(x(2, 3, 4, 4), 2.5)",
        TypeError,
        "local_response_norm: size=2.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "local_response_norm",
        "F.local_response_norm(x(2, 3, 4, 4), 5, alpha=None)",
        TypeError,
        "local_response_norm: alpha=None must be a number",
    ),
    Bad(
        "local_response_norm",
        "F.local_response_norm(x(2, 3, 4, 4), 5, k=-1)",
        ValueError,
        "local_response_norm: k=-1 must not be negative",
    ),
    Bad(
        "dropout",
        "F.dropout(x(2, 3), 1.5)",
        ValueError,
        "dropout: p=1.5 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "dropout",
        "F.dropout(x(2, 3), '0.5')",
        TypeError,
        "dropout: p='0.5' must be a number, not str",
    ),
    Bad(
        "dropout",
        "F.dropout(x(2, 3), None)",
        TypeError,
        "dropout: p=None must be a number",
    ),
    Bad(
        "dropout",
        "F.dropout(x(2, 3), 0.5, 'train')",
        TypeError,
        "dropout: training='train' must be True or False, not str",
    ),
    Bad(
        "dropout",
        "F.dropout(labels(2, 3), 0.5)",
        TypeError,
        "dropout: input is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "dropout",
        "F.dropout(x(2, 3), generator=42)",
        TypeError,
        "dropout: generator=42 must be a minivision.Generator",
    ),
    Bad(
        "dropout1d",
        "F.dropout1d(x(3))",
        ValueError,
        "dropout1d: input has shape (3,), but must be (N, C, L) or (C, L)",
    ),
    Bad(
        "dropout1d",
        "F.dropout1d(x(2, 3, 4, 5))",
        ValueError,
        "dropout1d: input has shape (2, 3, 4, 5), but must be (N, C, L) or (C, L)",
    ),
    Bad(
        "dropout1d",
        "F.dropout1d(x(2, 3), -0.1)",
        ValueError,
        "dropout1d: p=-0.1 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "dropout2d",
        "F.dropout2d(x(2, 3))",
        ValueError,
        "dropout2d: input has shape (2, 3), but must be (N, C, H, W) or (C, H, W)",
    ),
    Bad(
        "dropout2d",
        "F.dropout2d(x(2, 3, 4, 5), 50)",
        ValueError,
        "dropout2d: p=50 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "dropout2d",
        "F.dropout2d(mask(2, 3, 4, 5))",
        TypeError,
        "dropout2d: input is bool (2, 3, 4, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "dropout3d",
        "F.dropout3d(x(2, 3))",
        ValueError,
        "dropout3d: input has shape (2, 3), but must be (N, C, D, H, W) or (C, D, H, W)",
    ),
    Bad(
        "dropout3d",
        "F.dropout3d(x(2, 3, 4, 5), True)",
        TypeError,
        "dropout3d: p=True must be a number, not bool",
    ),
    Bad(
        "dropout3d",
        "F.dropout3d(x(2, 3, 4, 5), float('nan'))",
        ValueError,
        "dropout3d: p=nan must be a finite number",
    ),
    Bad(
        "alpha_dropout",
        "F.alpha_dropout(x(2, 3), 2)",
        ValueError,
        "alpha_dropout: p=2 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "alpha_dropout",
        "F.alpha_dropout(labels(2, 3))",
        TypeError,
        "alpha_dropout: input is int64 (2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "alpha_dropout",
        "F.alpha_dropout(x(2, 3), 0.5, training=1)",
        TypeError,
        "alpha_dropout: training=1 must be True or False, not int",
    ),
]
