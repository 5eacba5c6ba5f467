"""Pooling, adaptive pooling, and max unpooling."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 6)",
        ValueError,
        (
            "max_pool2d: the kernel does not fit: along height the padded input has 5 + 0 + 0 = 5 positions, but the kernel "
            "spans 1*(6 - 1) + 1 = 6; input (spatial) is (5, 7), kernel (6, 6). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(5, 7), 2)",
        ValueError,
        (
            "max_pool2d: input has shape (5, 7), but must be (N, C, H, W), or (C, H, W) for a single sample; give it a "
            "channel axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 0)",
        ValueError,
        "max_pool2d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 2.5)",
        TypeError,
        (
            "max_pool2d: kernel_size=2.5 must be an int, or 2 ints, one for each spatial axis (height, width), not float; for "
            "whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), (2, 2, 2))",
        ValueError,
        (
            "max_pool2d: kernel_size=(2, 2, 2) has 3 entries, but must be an int, or 2 ints, one for each spatial axis "
            "(height, width)"
        ),
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), None)",
        TypeError,
        "max_pool2d: kernel_size=None must be an int, or 2 ints, one for each spatial axis (height, width)",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 2, padding=2)",
        ValueError,
        "max_pool2d: padding 2 must be at most half of kernel_size 2, so 1, or a window could see nothing but padding",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 2, padding='same')",
        TypeError,
        "max_pool2d: padding='same' must be an int, or 2 ints, one for each spatial axis (height, width), not str",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 2, stride=-1)",
        ValueError,
        "max_pool2d: stride=-1 must be at least 1",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 3, dilation=3)",
        ValueError,
        (
            "max_pool2d: the kernel does not fit: along height the padded input has 5 + 0 + 0 = 5 positions, but the kernel "
            "spans 3*(3 - 1) + 1 = 7; input (spatial) is (5, 7), kernel (3, 3). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 2, ceil_mode='no')",
        TypeError,
        "max_pool2d: ceil_mode='no' must be True or False, not str",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 3, 5, 7), 2, return_indices=1)",
        TypeError,
        "max_pool2d: return_indices=1 must be True or False, not int",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(labels(1, 3, 5, 7), 2)",
        TypeError,
        "max_pool2d: input is int64 (1, 3, 5, 7), but must be floating; convert it with .float()",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(x(1, 0, 5, 7), 2)",
        ValueError,
        "max_pool2d: input has shape (1, 0, 5, 7), which has no channel; only the batch may be empty",
    ),
    Bad(
        "max_pool2d",
        "F.max_pool2d(None, 2)",
        TypeError,
        "max_pool2d: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "max_pool1d",
        "F.max_pool1d(x(1, 3, 5, 7), 2)",
        ValueError,
        "max_pool1d: input has shape (1, 3, 5, 7), but must be (N, C, L), or (C, L) for a single sample",
    ),
    Bad(
        "max_pool1d",
        "F.max_pool1d(x(3, 5), 6)",
        ValueError,
        (
            "max_pool1d: the kernel does not fit: along length the padded input has 5 + 0 + 0 = 5 positions, but the kernel "
            "spans 1*(6 - 1) + 1 = 6; input (spatial) is (5,), kernel (6,). Use a larger input, a smaller kernel or dilation, "
            "or more padding"
        ),
    ),
    Bad(
        "max_pool1d",
        "F.max_pool1d(x(3, 5), (2, 2))",
        ValueError,
        "max_pool1d: kernel_size=(2, 2) has 2 entries, but must be an int",
    ),
    Bad(
        "max_pool3d",
        "F.max_pool3d(x(3, 5, 7), 2)",
        ValueError,
        (
            "max_pool3d: input has shape (3, 5, 7), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample; give it "
            "a channel axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "max_pool3d",
        "F.max_pool3d(x(1, 3, 4, 5, 7), (5, 2, 2))",
        ValueError,
        (
            "max_pool3d: the kernel does not fit: along depth the padded input has 4 + 0 + 0 = 4 positions, but the kernel "
            "spans 1*(5 - 1) + 1 = 5; input (spatial) is (4, 5, 7), kernel (5, 2, 2). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "max_pool3d",
        "F.max_pool3d(x(1, 3, 4, 5, 7), 2, stride=(1, 1))",
        ValueError,
        (
            "max_pool3d: stride=(1, 1) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, "
            "height, width)"
        ),
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(x(1, 3, 5, 7), (6, 1))",
        ValueError,
        (
            "avg_pool2d: the kernel does not fit: along height the padded input has 5 + 0 + 0 = 5 positions, but the kernel "
            "spans 1*(6 - 1) + 1 = 6; input (spatial) is (5, 7), kernel (6, 1). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(x(3, 5), 2)",
        ValueError,
        (
            "avg_pool2d: input has shape (3, 5), but must be (N, C, H, W), or (C, H, W) for a single sample; give it a "
            "channel axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(x(1, 3, 5, 7), 2, padding=-1)",
        ValueError,
        "avg_pool2d: padding=-1 must be at least 0",
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(x(1, 3, 5, 7), 2, divisor_override=0)",
        ValueError,
        "avg_pool2d: divisor_override=0 divides the sums of the windows; give another one, or None for their size",
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(x(1, 3, 5, 7), 2, divisor_override=0.5)",
        TypeError,
        ("avg_pool2d: divisor_override=0.5 must be an int, not float; for whole numbers divide with //, or round with int()"),
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(x(1, 3, 5, 7), 2, count_include_pad=None)",
        TypeError,
        "avg_pool2d: count_include_pad=None must be True or False",
    ),
    Bad(
        "avg_pool2d",
        "F.avg_pool2d(mask(1, 3, 5, 7), 2)",
        TypeError,
        "avg_pool2d: input is bool (1, 3, 5, 7), but must be floating; convert it with .float()",
    ),
    Bad(
        "avg_pool1d",
        "F.avg_pool1d(x(5), 2)",
        ValueError,
        (
            "avg_pool1d: input has shape (5,), but must be (N, C, L), or (C, L) for a single sample; give it a channel axis "
            "with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "avg_pool1d",
        "F.avg_pool1d(x(3, 5), 0)",
        ValueError,
        "avg_pool1d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "avg_pool1d",
        "F.avg_pool1d(x(3, 5), 3, padding=2)",
        ValueError,
        "avg_pool1d: padding 2 must be at most half of kernel_size 3, so 1, or a window could see nothing but padding",
    ),
    Bad(
        "avg_pool3d",
        "F.avg_pool3d(x(2, 3), 2)",
        ValueError,
        "avg_pool3d: input has shape (2, 3), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample",
    ),
    Bad(
        "avg_pool3d",
        "F.avg_pool3d(x(3, 4, 5, 7), 6)",
        ValueError,
        (
            "avg_pool3d: the kernel does not fit: along depth the padded input has 4 + 0 + 0 = 4 positions, but the kernel "
            "spans 1*(6 - 1) + 1 = 6; input (spatial) is (4, 5, 7), kernel (6, 6, 6). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "avg_pool3d",
        "F.avg_pool3d(x(3, 4, 5, 7), 2, ceil_mode=2.5)",
        TypeError,
        "avg_pool3d: ceil_mode=2.5 must be True or False, not float",
    ),
    Bad(
        "lp_pool2d",
        "F.lp_pool2d(x(1, 3, 5, 7), 0, 2)",
        ValueError,
        "lp_pool2d: norm_type=0 would take the root of order 0; use 1 for sums, 2 for lengths, inf for maxima",
    ),
    Bad(
        "lp_pool2d",
        "F.lp_pool2d(x(1, 3, 5, 7), '2', 2)",
        TypeError,
        "lp_pool2d: norm_type='2' must be a number, not str",
    ),
    Bad(
        "lp_pool2d",
        "F.lp_pool2d(x(1, 3, 5, 7), 2, 8)",
        ValueError,
        (
            "lp_pool2d: the kernel does not fit: along height the padded input has 5 + 0 + 0 = 5 positions, but the kernel "
            "spans 1*(8 - 1) + 1 = 8; input (spatial) is (5, 7), kernel (8, 8). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "lp_pool2d",
        "F.lp_pool2d(labels(1, 3, 5, 7), 2, 2)",
        TypeError,
        "lp_pool2d: input is int64 (1, 3, 5, 7), but must be floating; convert it with .float()",
    ),
    Bad(
        "lp_pool1d",
        "F.lp_pool1d(x(5), 2, 2)",
        ValueError,
        (
            "lp_pool1d: input has shape (5,), but must be (N, C, L), or (C, L) for a single sample; give it a channel axis "
            "with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "lp_pool1d",
        "F.lp_pool1d(x(3, 5), float('nan'), 2)",
        ValueError,
        "lp_pool1d: norm_type=nan must be a finite number or infinity",
    ),
    Bad(
        "lp_pool1d",
        "F.lp_pool1d(x(3, 5), 2, 0)",
        ValueError,
        "lp_pool1d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "lp_pool3d",
        "F.lp_pool3d(x(3, 5), 2, 2)",
        ValueError,
        "lp_pool3d: input has shape (3, 5), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample",
    ),
    Bad(
        "lp_pool3d",
        "F.lp_pool3d(x(3, 4, 5, 7), None, 2)",
        TypeError,
        "lp_pool3d: norm_type=None must be a number",
    ),
    Bad(
        "lp_pool3d",
        "F.lp_pool3d(x(3, 4, 5, 7), 2, 5)",
        ValueError,
        (
            "lp_pool3d: the kernel does not fit: along depth the padded input has 4 + 0 + 0 = 4 positions, but the kernel "
            "spans 1*(5 - 1) + 1 = 5; input (spatial) is (4, 5, 7), kernel (5, 5, 5). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(x(1, 3, 5, 7), 0)",
        ValueError,
        "adaptive_avg_pool2d: output_size=0 must be a positive int, or two of them (h, w); None keeps a length",
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(x(1, 3, 5, 7), (1, 2, 3))",
        ValueError,
        (
            "adaptive_avg_pool2d: output_size=(1, 2, 3) has 3 entries, but must be a positive int, or two of them (h, w); "
            "None keeps a length"
        ),
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(x(1, 3, 5, 7), (2, 2.5))",
        TypeError,
        (
            "adaptive_avg_pool2d: output_size[1]=2.5 must be a positive int, or two of them (h, w), not float; for whole "
            "numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(x(1, 3, 5, 7), '2')",
        TypeError,
        "adaptive_avg_pool2d: output_size='2' must be a positive int, or two of them (h, w), not str",
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(x(5, 7), 2)",
        ValueError,
        (
            "adaptive_avg_pool2d: input has shape (5, 7), but must be (N, C, H, W), or (C, H, W) for a single sample; give it "
            "a channel axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(x(1, 3, 5, 0), 2)",
        ValueError,
        "adaptive_avg_pool2d: input has shape (1, 3, 5, 0), but an axis of length 0 cannot be cut into bins",
    ),
    Bad(
        "adaptive_avg_pool2d",
        "F.adaptive_avg_pool2d(labels(1, 3, 5, 7), 2)",
        TypeError,
        "adaptive_avg_pool2d: input is int64 (1, 3, 5, 7), but must be floating; convert it with .float()",
    ),
    Bad(
        "adaptive_avg_pool1d",
        "F.adaptive_avg_pool1d(x(3, 5), -1)",
        ValueError,
        "adaptive_avg_pool1d: output_size=-1 must be a positive int; None keeps a length",
    ),
    Bad(
        "adaptive_avg_pool1d",
        "F.adaptive_avg_pool1d(x(3, 5), (2, 2))",
        ValueError,
        "adaptive_avg_pool1d: output_size=(2, 2) has 2 entries, but must be a positive int; None keeps a length",
    ),
    Bad(
        "adaptive_avg_pool1d",
        "F.adaptive_avg_pool1d(x(5), 2)",
        ValueError,
        (
            "adaptive_avg_pool1d: input has shape (5,), but must be (N, C, L), or (C, L) for a single sample; give it a "
            "channel axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "adaptive_avg_pool3d",
        "F.adaptive_avg_pool3d(x(3, 5), 2)",
        ValueError,
        "adaptive_avg_pool3d: input has shape (3, 5), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample",
    ),
    Bad(
        "adaptive_avg_pool3d",
        "F.adaptive_avg_pool3d(x(3, 4, 5, 7), (2, 2))",
        ValueError,
        (
            "adaptive_avg_pool3d: output_size=(2, 2) has 2 entries, but must be a positive int, or three of them (d, h, w); "
            "None keeps a length"
        ),
    ),
    Bad(
        "adaptive_avg_pool3d",
        "F.adaptive_avg_pool3d(x(3, 4, 5, 7), (2, 2, 0))",
        ValueError,
        "adaptive_avg_pool3d: output_size[2]=0 must be a positive int, or three of them (d, h, w); None keeps a length",
    ),
    Bad(
        "adaptive_max_pool2d",
        "F.adaptive_max_pool2d(x(1, 3, 5, 7), (0, 2))",
        ValueError,
        "adaptive_max_pool2d: output_size[0]=0 must be a positive int, or two of them (h, w); None keeps a length",
    ),
    Bad(
        "adaptive_max_pool2d",
        "F.adaptive_max_pool2d(x(1, 3, 5, 7), 2, return_indices='yes')",
        TypeError,
        "adaptive_max_pool2d: return_indices='yes' must be True or False, not str",
    ),
    Bad(
        "adaptive_max_pool2d",
        "F.adaptive_max_pool2d(x(1, 3, 0, 7), 2)",
        ValueError,
        "adaptive_max_pool2d: input has shape (1, 3, 0, 7), but an axis of length 0 cannot be cut into bins",
    ),
    Bad(
        "adaptive_max_pool2d",
        "F.adaptive_max_pool2d(None, 2)",
        TypeError,
        "adaptive_max_pool2d: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "adaptive_max_pool1d",
        "F.adaptive_max_pool1d(x(3, 5), 2.5)",
        TypeError,
        (
            "adaptive_max_pool1d: output_size=2.5 must be a positive int, not float; for whole numbers divide with //, or "
            "round with int()"
        ),
    ),
    Bad(
        "adaptive_max_pool1d",
        "F.adaptive_max_pool1d(x(3, 5, 5, 5), 2)",
        ValueError,
        "adaptive_max_pool1d: input has shape (3, 5, 5, 5), but must be (N, C, L), or (C, L) for a single sample",
    ),
    Bad(
        "adaptive_max_pool1d",
        "F.adaptive_max_pool1d(x(0, 5), 2)",
        ValueError,
        "adaptive_max_pool1d: input has shape (0, 5), which has no channel; only the batch may be empty",
    ),
    Bad(
        "adaptive_max_pool3d",
        "F.adaptive_max_pool3d(x(3, 4, 5, 7), (1, 2, 3, 4))",
        ValueError,
        (
            "adaptive_max_pool3d: output_size=(1, 2, 3, 4) has 4 entries, but must be a positive int, or three of them (d, h, "
            "w); None keeps a length"
        ),
    ),
    Bad(
        "adaptive_max_pool3d",
        "F.adaptive_max_pool3d(x(3, 5), 2)",
        ValueError,
        "adaptive_max_pool3d: input has shape (3, 5), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample",
    ),
    Bad(
        "adaptive_max_pool3d",
        "F.adaptive_max_pool3d(x(3, 4, 5, 7), True)",
        TypeError,
        "adaptive_max_pool3d: output_size=True must be a positive int, or three of them (d, h, w), not bool",
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), x(1, 3, 2, 2), 2)",
        TypeError,
        "max_unpool2d: indices are float32, but must be integers from max_pool2d(..., return_indices=True)",
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 3), 2)",
        ValueError,
        (
            "max_unpool2d: indices have shape (1, 3, 2, 3), but input has (1, 3, 2, 2); both come from one max_pool2d(..., "
            "return_indices=True)"
        ),
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2) + 16, 2)",
        ValueError,
        (
            "max_unpool2d: index 16 lies outside the output plane (4, 4) of 16 positions; pass the size before pooling as "
            "output_size"
        ),
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2) - 1, 2)",
        ValueError,
        (
            "max_unpool2d: index -1 lies outside the output plane (4, 4) of 16 positions; pass the size before pooling as "
            "output_size"
        ),
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2), 2, output_size=(4, 6))",
        ValueError,
        "max_unpool2d: output_size 6 along width is outside [3, 5], the sizes that pool to 2",
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2), 2, output_size=(4, 4, 4))",
        ValueError,
        "max_unpool2d: output_size=(4, 4, 4) must be 2 lengths, or the whole shape before pooling",
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2), 2, output_size=8)",
        TypeError,
        "max_unpool2d: output_size=8 must be 2 lengths, or the whole shape before pooling, not int",
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2), 2, padding=3)",
        ValueError,
        (
            "max_unpool2d: the output would have size (-2, -2) = (n - 1) stride - 2 padding + kernel_size, but every length "
            "must be at least 1; input is (1, 3, 2, 2), kernel_size (2, 2), stride (2, 2), padding (3, 3)"
        ),
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), labels(1, 3, 2, 2), 0)",
        ValueError,
        "max_unpool2d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "max_unpool2d",
        "F.max_unpool2d(x(1, 3, 2, 2), None, 2)",
        TypeError,
        "max_unpool2d: indices is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "max_unpool1d",
        "F.max_unpool1d(x(3, 2), labels(3, 3), 2)",
        ValueError,
        (
            "max_unpool1d: indices have shape (3, 3), but input has (3, 2); both come from one max_pool1d(..., "
            "return_indices=True)"
        ),
    ),
    Bad(
        "max_unpool1d",
        "F.max_unpool1d(x(3, 2), labels(3, 2) + 4, 2)",
        ValueError,
        ("max_unpool1d: index 4 lies outside the output plane (4,) of 4 positions; pass the size before pooling as output_size"),
    ),
    Bad(
        "max_unpool1d",
        "F.max_unpool1d(x(3, 2), labels(3, 2), 2.0)",
        TypeError,
        "max_unpool1d: kernel_size=2.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "max_unpool3d",
        "F.max_unpool3d(x(3, 2), labels(3, 2), 2)",
        ValueError,
        "max_unpool3d: input has shape (3, 2), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample",
    ),
    Bad(
        "max_unpool3d",
        "F.max_unpool3d(x(3, 2, 2, 2), mask(3, 2, 2, 2), 2)",
        TypeError,
        "max_unpool3d: indices are bool, but must be integers from max_pool3d(..., return_indices=True)",
    ),
    Bad(
        "max_unpool3d",
        "F.max_unpool3d(x(3, 2, 2, 2), labels(3, 2, 2, 2), 2, stride=(2, 2))",
        ValueError,
        (
            "max_unpool3d: stride=(2, 2) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, "
            "height, width)"
        ),
    ),
    Bad(
        "top_pool",
        "ops.top_pool(x(5, 6))",
        ValueError,
        "top_pool: input has shape (5, 6), but must be (N, C, H, W), or (C, H, W) for a single image",
    ),
    Bad(
        "top_pool",
        "ops.top_pool(labels(1, 3, 5, 6))",
        TypeError,
        "top_pool: input is int64 (1, 3, 5, 6), but must be floating; convert it with .float()",
    ),
    Bad(
        "top_pool",
        "ops.top_pool(None)",
        TypeError,
        "top_pool: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "bottom_pool",
        "ops.bottom_pool(x(1, 1, 3, 5, 6))",
        ValueError,
        "bottom_pool: input has shape (1, 1, 3, 5, 6), but must be (N, C, H, W), or (C, H, W) for a single image",
    ),
    Bad(
        "bottom_pool",
        "ops.bottom_pool(mask(1, 3, 5, 6))",
        TypeError,
        "bottom_pool: input is bool (1, 3, 5, 6), but must be floating; convert it with .float()",
    ),
    Bad(
        "bottom_pool",
        "ops.bottom_pool('map')",
        TypeError,
        "bottom_pool: input is 'map' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "left_pool",
        "ops.left_pool(x(6))",
        ValueError,
        "left_pool: input has shape (6,), but must be (N, C, H, W), or (C, H, W) for a single image",
    ),
    Bad(
        "left_pool",
        "ops.left_pool(labels(3, 5, 6))",
        TypeError,
        "left_pool: input is int64 (3, 5, 6), but must be floating; convert it with .float()",
    ),
    Bad(
        "left_pool",
        "ops.left_pool({})",
        TypeError,
        "left_pool: input is {} (dict), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "right_pool",
        "ops.right_pool(x(5, 6))",
        ValueError,
        "right_pool: input has shape (5, 6), but must be (N, C, H, W), or (C, H, W) for a single image",
    ),
    Bad(
        "right_pool",
        "ops.right_pool(mask(3, 5, 6))",
        TypeError,
        "right_pool: input is bool (3, 5, 6), but must be floating; convert it with .float()",
    ),
    Bad(
        "right_pool",
        "ops.right_pool(None)",
        TypeError,
        "right_pool: input is None, but must be a tensor (or an array, or numbers)",
    ),
]
