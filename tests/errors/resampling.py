"""Interpolation, grids, padding, windows as columns, and channels that become pixels."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5))",
        ValueError,
        "interpolate: give either size or scale_factor (got size=None, scale_factor=None)",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, 2)",
        ValueError,
        "interpolate: give either size or scale_factor (got size=8, scale_factor=2)",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), (8, 10, 2))",
        ValueError,
        (
            "interpolate: size=(8, 10, 2) has 3 entries, but input (1, 3, 4, 5) has 2 spatial axes: one int, or 2 of them; "
            "for a single image (C, H, W), input.unsqueeze(0)"
        ),
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8 / 2)",
        TypeError,
        "interpolate: size=4.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), (8, 0))",
        ValueError,
        "interpolate: size[1]=0 must be at least 1",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), '8')",
        TypeError,
        "interpolate: size='8' must be an int, not str",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), scale_factor=0.1)",
        ValueError,
        (
            "interpolate: cannot resize (4, 5) to (0, 0) by scale_factor=0.1; every length must be at least 1, and input is "
            "(1, 3, 4, 5)"
        ),
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), scale_factor=-2)",
        ValueError,
        "interpolate: scale_factor=-2 must be positive",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), scale_factor=float('inf'))",
        ValueError,
        "interpolate: scale_factor=inf must be a finite number",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), scale_factor=(2, 2, 2))",
        ValueError,
        (
            "interpolate: scale_factor=(2, 2, 2) has 3 entries, but input (1, 3, 4, 5) has 2 spatial axes: one number, or 2 "
            "of them; for a single image (C, H, W), input.unsqueeze(0)"
        ),
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, mode='cubic')",
        ValueError,
        (
            "interpolate: mode='cubic' is unknown; use 'nearest', 'nearest-exact', 'area', 'linear', 'bilinear', 'trilinear' "
            "or 'bicubic'"
        ),
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, mode='trilinear')",
        ValueError,
        "interpolate: mode='trilinear' is for 3 spatial axes, but input (1, 3, 4, 5) has 2; use 'bilinear'",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, mode=None)",
        ValueError,
        (
            "interpolate: mode=None is unknown; use 'nearest', 'nearest-exact', 'area', 'linear', 'bilinear', 'trilinear' or "
            "'bicubic'"
        ),
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, align_corners=True)",
        ValueError,
        "interpolate: align_corners means nothing with mode='nearest'; leave it out",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, mode='bilinear', align_corners='no')",
        TypeError,
        "interpolate: align_corners='no' must be True or False, not str",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, antialias=True)",
        ValueError,
        "interpolate: antialias is for mode='bilinear' and mode='bicubic', not 'nearest'; leave it out",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 4, 5), 8, recompute_scale_factor=True)",
        ValueError,
        "interpolate: recompute_scale_factor means nothing with size=8; give scale_factor, or leave it out",
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(4, 5), 8)",
        ValueError,
        (
            "interpolate: input has shape (4, 5), but must be (N, C, L), (N, C, H, W) or (N, C, D, H, W); for a bare image "
            "(H, W), input[None, None]"
        ),
    ),
    Bad(
        "interpolate",
        "F.interpolate(x(1, 3, 0, 5), 8)",
        ValueError,
        "interpolate: cannot resize (0, 5) to (8, 8); every length must be at least 1, and input is (1, 3, 0, 5)",
    ),
    Bad(
        "interpolate",
        "F.interpolate(labels(1, 3, 4, 5), 8)",
        TypeError,
        "interpolate: input is int64 (1, 3, 4, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "upsample",
        "F.upsample(x(4, 5), 8)",
        ValueError,
        (
            "upsample: input has shape (4, 5), but must be (N, C, L), (N, C, H, W) or (N, C, D, H, W); for a bare image (H, "
            "W), input[None, None]"
        ),
    ),
    Bad(
        "upsample",
        "F.upsample(x(1, 3, 4, 5), scale_factor=0)",
        ValueError,
        "upsample: scale_factor=0 must be positive",
    ),
    Bad(
        "upsample",
        "F.upsample(x(1, 3, 4, 5), 8, mode='area', align_corners=True)",
        ValueError,
        "upsample: align_corners means nothing with mode='area'; leave it out",
    ),
    Bad(
        "upsample_nearest",
        "F.upsample_nearest(x(1, 3, 4, 5))",
        ValueError,
        "upsample_nearest: give either size or scale_factor (got size=None, scale_factor=None)",
    ),
    Bad(
        "upsample_nearest",
        "F.upsample_nearest(x(1, 3, 4, 5), (8, 10, 2))",
        ValueError,
        (
            "upsample_nearest: size=(8, 10, 2) has 3 entries, but input (1, 3, 4, 5) has 2 spatial axes: one int, or 2 of "
            "them; for a single image (C, H, W), input.unsqueeze(0)"
        ),
    ),
    Bad(
        "upsample_nearest",
        "F.upsample_nearest(mask(1, 3, 4, 5), 8)",
        TypeError,
        "upsample_nearest: input is bool (1, 3, 4, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "upsample_bilinear",
        "F.upsample_bilinear(x(1, 3, 4), 8)",
        ValueError,
        "upsample_bilinear: mode='bilinear' is for 2 spatial axes, but input (1, 3, 4) has 1; use 'linear'",
    ),
    Bad(
        "upsample_bilinear",
        "F.upsample_bilinear(x(1, 3, 4, 5), scale_factor='2')",
        TypeError,
        "upsample_bilinear: scale_factor='2' must be a number, not str",
    ),
    Bad(
        "upsample_bilinear",
        "F.upsample_bilinear(x(1, 3, 4, 5), 8, 2)",
        ValueError,
        "upsample_bilinear: give either size or scale_factor (got size=8, scale_factor=2)",
    ),
    Bad(
        "bed_of_nails",
        "F.bed_of_nails(x(4, 5), 2)",
        ValueError,
        "bed_of_nails: input has shape (4, 5), but must be (N, C, L), (N, C, H, W) or (N, C, D, H, W)",
    ),
    Bad(
        "bed_of_nails",
        "F.bed_of_nails(x(1, 3, 4, 5), 0)",
        ValueError,
        "bed_of_nails: scale_factor=0 must be at least 1",
    ),
    Bad(
        "bed_of_nails",
        "F.bed_of_nails(x(1, 3, 4, 5), (2, 2, 2))",
        ValueError,
        (
            "bed_of_nails: scale_factor=(2, 2, 2) has 3 entries, but must be an int, or 2 ints, one for each spatial axis "
            "(height, width)"
        ),
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(3, 4, 5), x(3, 4, 2))",
        ValueError,
        (
            "grid_sample: input has shape (3, 4, 5), but must be (N, C, H, W) or (N, C, D, H, W), of positive size; for a "
            "single image, input.unsqueeze(0)"
        ),
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), x(2, 4, 5, 3))",
        ValueError,
        "grid_sample: grid has shape (2, 4, 5, 3), but for input (2, 3, 4, 5) it must be (N, H', W', 2) with N = 2",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), x(1, 4, 5, 2))",
        ValueError,
        "grid_sample: grid has shape (1, 4, 5, 2), but for input (2, 3, 4, 5) it must be (N, H', W', 2) with N = 2",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), x(2, 4, 5, 2), 'linear')",
        ValueError,
        "grid_sample: mode='linear' is unknown; use 'bilinear', 'nearest' or 'bicubic'",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), x(2, 4, 5, 2), padding_mode='wrap')",
        ValueError,
        "grid_sample: padding_mode='wrap' is unknown; use 'zeros', 'border' or 'reflection'",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5, 6), x(2, 4, 5, 6, 3), 'bicubic')",
        ValueError,
        "grid_sample: mode='bicubic' is for images (N, C, H, W), but input has shape (2, 3, 4, 5, 6); use 'bilinear'",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), x64(2, 4, 5, 2))",
        TypeError,
        ("grid_sample: input is float32, but grid is float64; convert one of them (.float(), .double(), or module.double())"),
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), labels(2, 4, 5, 2))",
        TypeError,
        "grid_sample: grid is int64 (2, 4, 5, 2), but must be floating; convert it with .float()",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 4, 5), x(2, 4, 5, 2), align_corners=1)",
        TypeError,
        "grid_sample: align_corners=1 must be True or False, not int",
    ),
    Bad(
        "grid_sample",
        "F.grid_sample(x(2, 3, 0, 5), x(2, 4, 5, 2))",
        ValueError,
        "grid_sample: input has shape (2, 3, 0, 5), but must be (N, C, H, W) or (N, C, D, H, W), of positive size",
    ),
    Bad(
        "affine_grid",
        "F.affine_grid(x(2, 3, 3), (2, 3, 4, 5))",
        ValueError,
        ("affine_grid: theta has shape (2, 3, 3), but for size=(2, 3, 4, 5) it must be (2, 2, 3): a matrix 2 x 3 for each image"),
    ),
    Bad(
        "affine_grid",
        "F.affine_grid(x(2, 2, 3), (4, 5))",
        ValueError,
        "affine_grid: size=(4, 5) must be the size of the output, (N, C, H, W) or (N, C, D, H, W)",
    ),
    Bad(
        "affine_grid",
        "F.affine_grid(x(2, 2, 3), 4)",
        TypeError,
        "affine_grid: size=4 must be the size of the output, (N, C, H, W) or (N, C, D, H, W), not int",
    ),
    Bad(
        "affine_grid",
        "F.affine_grid(x(2, 2, 3), (2, 3, 4, 0))",
        ValueError,
        "affine_grid: size[3]=0 must be at least 1",
    ),
    Bad(
        "affine_grid",
        "F.affine_grid(labels(2, 2, 3), (2, 3, 4, 5))",
        TypeError,
        "affine_grid: theta is int64 (2, 2, 3), but must be floating; convert it with .float()",
    ),
    Bad(
        "affine_grid",
        "F.affine_grid(x(1, 2, 3), (2, 3, 4, 5))",
        ValueError,
        ("affine_grid: theta has shape (1, 2, 3), but for size=(2, 3, 4, 5) it must be (2, 2, 3): a matrix 2 x 3 for each image"),
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), 1)",
        TypeError,
        "pad: pad=1 must be two numbers (before, after) for each padded axis, the last axis first, not int",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (1, 1, 1))",
        ValueError,
        (
            "pad: pad=(1, 1, 1) has 3 entries, but must hold two numbers (before, after) for each padded axis, the last axis "
            "first; input is (1, 3, 4, 5)"
        ),
    ),
    Bad(
        "pad",
        "F.pad(x(4, 5), (1, 1, 1, 1, 1, 1))",
        ValueError,
        (
            "pad: pad=(1, 1, 1, 1, 1, 1) has 6 entries, but must hold two numbers (before, after) for each padded axis, the "
            "last axis first; input is (4, 5)"
        ),
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (1, 1.5))",
        TypeError,
        "pad: pad[1]=1.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (-3, -3))",
        ValueError,
        "pad: pad=(-3, -3) crops more than there is: an axis would have 5 + -3 + -3 positions; input is (1, 3, 4, 5)",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (5, 0), 'reflect')",
        ValueError,
        ("pad: reflecting 5 positions needs an axis longer than that, but the axis has 5; pad=(5, 0), input is (1, 3, 4, 5)"),
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (6, 0), 'circular')",
        ValueError,
        (
            "pad: going round 6 positions needs an axis at least that long, after cropping, but the axis has 5; pad=(6, 0), "
            "input is (1, 3, 4, 5)"
        ),
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 0), (1, 0), 'replicate')",
        ValueError,
        "pad: replicating needs an edge, but the axis has 0; pad=(1, 0), input is (1, 3, 4, 0)",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (1, 1), 'mirror')",
        ValueError,
        "pad: mode='mirror' is unknown; use 'constant', 'reflect', 'replicate' or 'circular'",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (1, 1), 'reflect', 2.0)",
        ValueError,
        "pad: value=2.0 means nothing with mode='reflect'; leave it out",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5), (1, 1), value='0')",
        TypeError,
        "pad: value='0' must be a number, not str",
    ),
    Bad(
        "pad",
        "F.pad(x(1, 3, 4, 5).to(minivision.uint8), (1, 1), value=-1)",
        ValueError,
        "pad: value=-1 does not fit into input (1, 3, 4, 5), which is uint8; convert it first, as with .float()",
    ),
    Bad(
        "pad",
        "F.pad(None, (1, 1))",
        TypeError,
        "pad: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "constant_pad_nd",
        "minivision.constant_pad_nd(x(1, 3, 4, 5), 1)",
        TypeError,
        "constant_pad_nd: pad=1 must be two numbers (before, after) for each padded axis, the last axis first, not int",
    ),
    Bad(
        "constant_pad_nd",
        "minivision.constant_pad_nd(x(1, 3, 4, 5), (1,))",
        ValueError,
        (
            "constant_pad_nd: pad=(1,) has 1 entries, but must hold two numbers (before, after) for each padded axis, the "
            "last axis first; input is (1, 3, 4, 5)"
        ),
    ),
    Bad(
        "constant_pad_nd",
        "minivision.constant_pad_nd(x(1, 3, 4, 5), (1, 1), 'zero')",
        TypeError,
        "constant_pad_nd: value='zero' must be a number, not str",
    ),
    Bad(
        "unfold",
        "F.unfold(x(4, 5), 2)",
        ValueError,
        (
            "unfold: input has shape (4, 5), but must be (N, C, H, W), or (C, H, W) for a single image, with at least one "
            "channel and one pixel"
        ),
    ),
    Bad(
        "unfold",
        "F.unfold(x(1, 3, 4, 5), 5)",
        ValueError,
        (
            "unfold: the kernel does not fit: along height the padded input has 4 + 0 + 0 = 4 positions, but the kernel spans "
            "1*(5 - 1) + 1 = 5; input (spatial) is (4, 5), kernel (5, 5). Use a larger input, a smaller kernel or dilation, "
            "or more padding"
        ),
    ),
    Bad(
        "unfold",
        "F.unfold(x(1, 3, 4, 5), (2, 2, 2))",
        ValueError,
        ("unfold: kernel_size=(2, 2, 2) has 3 entries, but must be an int, or 2 ints, one for each spatial axis (height, width)"),
    ),
    Bad(
        "unfold",
        "F.unfold(x(1, 3, 4, 5), 2, stride=0)",
        ValueError,
        "unfold: stride=0 must be at least 1",
    ),
    Bad(
        "unfold",
        "F.unfold(x(1, 3, 4, 5), 2, padding='same')",
        TypeError,
        "unfold: padding='same' must be an int, or 2 ints, one for each spatial axis (height, width), not str",
    ),
    Bad(
        "unfold",
        "F.unfold(labels(1, 3, 4, 5), 2)",
        TypeError,
        "unfold: input is int64 (1, 3, 4, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "fold",
        "F.fold(x(12), 4, 2)",
        ValueError,
        "fold: input has shape (12,), but must be (N, C kh kw, L), or (C kh kw, L) for a single image, not empty",
    ),
    Bad(
        "fold",
        "F.fold(x(1, 10, 9), 4, 2)",
        ValueError,
        "fold: input (1, 10, 9) has columns of 10 numbers, which is no multiple of kernel_size 2 * 2 = 4",
    ),
    Bad(
        "fold",
        "F.fold(x(1, 12, 8), 4, 2)",
        ValueError,
        (
            "fold: input (1, 12, 8) has 8 columns, but a kernel (2, 2) has 3 * 3 = 9 positions in output_size (4, 4) with "
            "these arguments; give those of the unfold, and the size of its input"
        ),
    ),
    Bad(
        "fold",
        "F.fold(x(1, 12, 9), (4, 4, 4), 2)",
        ValueError,
        ("fold: output_size=(4, 4, 4) has 3 entries, but must be an int, or 2 ints, one for each spatial axis (height, width)"),
    ),
    Bad(
        "fold",
        "F.fold(x(1, 12, 9), 4, 5)",
        ValueError,
        "fold: input (1, 12, 9) has columns of 12 numbers, which is no multiple of kernel_size 5 * 5 = 25",
    ),
    Bad(
        "fold",
        "F.fold(mask(1, 12, 9), 4, 2)",
        TypeError,
        "fold: input is bool (1, 12, 9), but must be floating; convert it with .float()",
    ),
    Bad(
        "Tensor.unfold",
        "x(4, 5).unfold(2, 2, 1)",
        IndexError,
        "Tensor.unfold: dimension=2 is out of range for shape (4, 5), which has 2 axes; legal are -2 .. 1",
    ),
    Bad(
        "Tensor.unfold",
        "x(4, 5).unfold(0, 5, 1)",
        ValueError,
        "Tensor.unfold: sections of size=5 do not fit into axis 0 of (4, 5), which has length 4",
    ),
    Bad(
        "Tensor.unfold",
        "x(4, 5).unfold(0, 2, 0)",
        ValueError,
        "Tensor.unfold: step=0 must be at least 1",
    ),
    Bad(
        "Tensor.unfold",
        "x(4, 5).unfold(0, 2.0, 1)",
        TypeError,
        "Tensor.unfold: size=2.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Tensor.unfold",
        "x(4, 5).unfold('0', 2, 1)",
        TypeError,
        "Tensor.unfold: dimension='0' must be an int, not str",
    ),
    Bad(
        "pixel_shuffle",
        "F.pixel_shuffle(x(1, 3, 4, 5), 2)",
        ValueError,
        "pixel_shuffle: input (1, 3, 4, 5) has 3 channels, which is no multiple of upscale_factor^2 = 2^2 = 4",
    ),
    Bad(
        "pixel_shuffle",
        "F.pixel_shuffle(x(4, 5), 2)",
        ValueError,
        "pixel_shuffle: input has shape (4, 5), but must be (*, C, H, W)",
    ),
    Bad(
        "pixel_shuffle",
        "F.pixel_shuffle(x(1, 4, 4, 5), 0)",
        ValueError,
        "pixel_shuffle: upscale_factor=0 must be at least 1",
    ),
    Bad(
        "pixel_shuffle",
        "F.pixel_shuffle(x(1, 4, 4, 5), 2.0)",
        TypeError,
        ("pixel_shuffle: upscale_factor=2.0 must be an int, not float; for whole numbers divide with //, or round with int()"),
    ),
    Bad(
        "pixel_unshuffle",
        "F.pixel_unshuffle(x(1, 3, 4, 5), 2)",
        ValueError,
        "pixel_unshuffle: input (1, 3, 4, 5) has size 4 x 5, which is no multiple of downscale_factor = 2",
    ),
    Bad(
        "pixel_unshuffle",
        "F.pixel_unshuffle(x(4, 4), 2)",
        ValueError,
        "pixel_unshuffle: input has shape (4, 4), but must be (*, C, H, W)",
    ),
    Bad(
        "pixel_unshuffle",
        "F.pixel_unshuffle(x(1, 4, 4, 4), -2)",
        ValueError,
        "pixel_unshuffle: downscale_factor=-2 must be at least 1",
    ),
    Bad(
        "pixel_unshuffle",
        "F.pixel_unshuffle(x(1, 4, 4, 4), None)",
        TypeError,
        "pixel_unshuffle: downscale_factor=None must be an int",
    ),
    Bad(
        "channel_shuffle",
        "F.channel_shuffle(x(1, 3, 4, 5), 2)",
        ValueError,
        "channel_shuffle: groups=2 must divide the 3 channels of input (1, 3, 4, 5)",
    ),
    Bad(
        "channel_shuffle",
        "F.channel_shuffle(x(4, 5), 2)",
        ValueError,
        "channel_shuffle: input has shape (4, 5), but must be (N, C, *) with at least one spatial axis",
    ),
    Bad(
        "channel_shuffle",
        "F.channel_shuffle(x(1, 4, 4, 5), 0)",
        ValueError,
        "channel_shuffle: groups=0 must be at least 1",
    ),
    Bad(
        "channel_shuffle",
        "F.channel_shuffle(x(1, 4, 4, 5), '2')",
        TypeError,
        "channel_shuffle: groups='2' must be an int, not str",
    ),
]
