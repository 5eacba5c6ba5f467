"""Convolution and transposed convolution."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 4, 3, 3))",
        ValueError,
        (
            "conv2d: input has 3 channels (N, C, H, W) = (1, 3, 5, 5), but weight (out, in/groups, *kernel) = (8, 4, 3, 3) "
            "expects 4; give it 4 channels, or make the layer with in_channels=3"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 5, 7, 3), x(8, 3, 3, 3))",
        ValueError,
        (
            "conv2d: input has 5 channels (N, C, H, W) = (1, 5, 7, 3), but weight (out, in/groups, *kernel) = (8, 3, 3, 3) "
            "expects 3; if the channels are last, bring them forward with input.permute(0, 3, 1, 2)"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 4, 5, 5), x(8, 3, 3, 3), groups=2)",
        ValueError,
        (
            "conv2d: input has 4 channels (N, C, H, W) = (1, 4, 5, 5), but weight (out, in/groups, *kernel) = (8, 3, 3, 3) "
            "expects 3 * groups 2 = 6; the weight's axis 1 must be in_channels / groups = 4 / 2 = 2"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 4, 5, 5), x(8, 1, 3, 3), groups=2)",
        ValueError,
        (
            "conv2d: input has 4 channels (N, C, H, W) = (1, 4, 5, 5), but weight (out, in/groups, *kernel) = (8, 1, 3, 3) "
            "expects 1 * groups 2 = 2; the weight's axis 1 must be in_channels / groups = 4 / 2 = 2"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(5, 5), x(8, 3, 3, 3))",
        ValueError,
        (
            "conv2d: input has shape (5, 5), but must be (N, C, H, W), or (C, H, W) for a single sample; give it a channel "
            "axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(3, 3, 3))",
        ValueError,
        "conv2d: weight has shape (3, 3, 3), but must have 4 axes, (out, in/groups, *kernel) with 2 for the kernel",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 0))",
        ValueError,
        "conv2d: weight (out, in/groups, *kernel) = (8, 3, 3, 0) has an axis of length 0; every length must be at least 1",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), x(3))",
        ValueError,
        "conv2d: bias has shape (3,), but weight (8, 3, 3, 3) has 8 output channels, so it must be (8,)",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 2), x(8, 3, 3, 3))",
        ValueError,
        (
            "conv2d: the kernel does not fit: along width the padded input has 2 + 0 + 0 = 2 positions, but the kernel spans "
            "1*(3 - 1) + 1 = 3; input (spatial) is (5, 2), kernel (3, 3). Use a larger input, a smaller kernel or dilation, "
            "or more padding"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), dilation=3)",
        ValueError,
        (
            "conv2d: the kernel does not fit: along height the padded input has 5 + 0 + 0 = 5 positions, but the kernel spans "
            "3*(3 - 1) + 1 = 7; input (spatial) is (5, 5), kernel (3, 3). Use a larger input, a smaller kernel or dilation, "
            "or more padding"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), stride=0)",
        ValueError,
        "conv2d: stride=0 must be at least 1",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), stride=3 / 2)",
        TypeError,
        (
            "conv2d: stride=1.5 must be an int, or 2 ints, one for each spatial axis (height, width), not float; for whole "
            "numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), stride=(1, 2, 3))",
        ValueError,
        "conv2d: stride=(1, 2, 3) has 3 entries, but must be an int, or 2 ints, one for each spatial axis (height, width)",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), stride=None)",
        TypeError,
        "conv2d: stride=None must be an int, or 2 ints, one for each spatial axis (height, width)",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), stride=True)",
        TypeError,
        "conv2d: stride=True must be an int, or 2 ints, one for each spatial axis (height, width), not bool",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), padding=(1, -1))",
        ValueError,
        "conv2d: padding[1]=-1 must be at least 0",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), padding='full')",
        ValueError,
        "conv2d: padding='full' is unknown; use an int, one per axis, 'same' or 'valid'",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), stride=2, padding='same')",
        ValueError,
        "conv2d: padding='same' needs stride 1, but the stride along height is 2",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), dilation=(1, '2'))",
        TypeError,
        "conv2d: dilation[1]='2' must be an int, not str",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), groups=0)",
        ValueError,
        "conv2d: groups=0 must be at least 1",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x(1, 3, 5, 5), x(8, 3, 3, 3), groups=1.5)",
        TypeError,
        "conv2d: groups=1.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "conv2d",
        "F.conv2d(labels(1, 3, 5, 5), x(8, 3, 3, 3))",
        TypeError,
        "conv2d: input is int64 (1, 3, 5, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "conv2d",
        "F.conv2d(x64(1, 3, 5, 5), x(8, 3, 3, 3))",
        TypeError,
        "conv2d: input is float64, but weight is float32; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "conv2d",
        "F.conv2d(None, x(8, 3, 3, 3))",
        TypeError,
        "conv2d: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "conv2d",
        "F.conv2d('cat.png', x(8, 3, 3, 3))",
        TypeError,
        "conv2d: input is 'cat.png' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "conv2d",
        "F.conv2d([[1.0], [1.0, 2.0]], x(8, 3, 3, 3))",
        TypeError,
        (
            "conv2d: input is [[1.0], [1.0, 2.0]], but nested lists must form a regular table of numbers: every row of the "
            "same length"
        ),
    ),
    Bad(
        "conv2d",
        "F.conv2d([x(3, 5, 5), x(3, 5)], x(8, 3, 3, 3))",
        TypeError,
        "conv2d: input is a list of tensors, but must be one tensor; join them with minivision.stack or minivision.cat",
    ),
    Bad(
        "conv1d",
        "F.conv1d(x(1, 3, 5, 5), x(8, 3, 3))",
        ValueError,
        "conv1d: input has shape (1, 3, 5, 5), but must be (N, C, L), or (C, L) for a single sample",
    ),
    Bad(
        "conv1d",
        "F.conv1d(x(2, 3, 5), x(8, 2, 3))",
        ValueError,
        (
            "conv1d: input has 3 channels (N, C, L) = (2, 3, 5), but weight (out, in/groups, *kernel) = (8, 2, 3) expects 2; "
            "give it 2 channels, or make the layer with in_channels=3"
        ),
    ),
    Bad(
        "conv1d",
        "F.conv1d(x(2, 3, 5), x(8, 3, 7))",
        ValueError,
        (
            "conv1d: the kernel does not fit: along length the padded input has 5 + 0 + 0 = 5 positions, but the kernel spans "
            "1*(7 - 1) + 1 = 7; input (spatial) is (5,), kernel (7,). Use a larger input, a smaller kernel or dilation, or "
            "more padding"
        ),
    ),
    Bad(
        "conv1d",
        "F.conv1d(x(2, 3, 5), x(8, 3, 3), padding=(1, 1))",
        ValueError,
        "conv1d: padding=(1, 1) has 2 entries, but must be an int",
    ),
    Bad(
        "conv3d",
        "F.conv3d(x(1, 3, 5), x(8, 3, 3, 3, 3))",
        ValueError,
        (
            "conv3d: input has shape (1, 3, 5), but must be (N, C, D, H, W), or (C, D, H, W) for a single sample; give it a "
            "channel axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "conv3d",
        "F.conv3d(x(1, 3, 5, 5, 5), x(8, 3, 3, 3))",
        ValueError,
        "conv3d: weight has shape (8, 3, 3, 3), but must have 5 axes, (out, in/groups, *kernel) with 3 for the kernel",
    ),
    Bad(
        "conv3d",
        "F.conv3d(x(1, 3, 2, 5, 5), x(8, 3, 3, 3, 3))",
        ValueError,
        (
            "conv3d: the kernel does not fit: along depth the padded input has 2 + 0 + 0 = 2 positions, but the kernel spans "
            "1*(3 - 1) + 1 = 3; input (spatial) is (2, 5, 5), kernel (3, 3, 3). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "conv3d",
        "F.conv3d(x(1, 3, 5, 5, 5), x(8, 3, 3, 3, 3), stride=(1, 2))",
        ValueError,
        ("conv3d: stride=(1, 2) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, height, width)"),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 4, 5, 5), x(3, 4, 2, 2), stride=2)",
        ValueError,
        (
            "conv_transpose2d: input has 4 channels (N, C, H, W) = (1, 4, 5, 5), but weight (in, out/groups, *kernel) = (3, "
            "4, 2, 2) expects 3; transposed weights have the input channels first: weight.transpose(0, 1)"
        ),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 5, 5, 5), x(3, 4, 2, 2), stride=2)",
        ValueError,
        (
            "conv_transpose2d: input has 5 channels (N, C, H, W) = (1, 5, 5, 5), but weight (in, out/groups, *kernel) = (3, "
            "4, 2, 2) expects 3; give it 3 channels, or make the layer with in_channels=5"
        ),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 5, 5), x(3, 4, 2, 2), x(3))",
        ValueError,
        (
            "conv_transpose2d: bias has shape (3,), but weight (in, out/groups, *kernel) = (3, 4, 2, 2) with groups 1 gives 4 "
            "channels, so it must be (4,)"
        ),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 5, 5), x(3, 4, 2, 2), groups=2)",
        ValueError,
        "conv_transpose2d: groups=2 must divide the input's 3 channels; input is (1, 3, 5, 5), weight (3, 4, 2, 2)",
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 5, 5), x(3, 4, 2, 2), stride=2, output_padding=2)",
        ValueError,
        (
            "conv_transpose2d: output_padding 2 along height must be smaller than the stride 2 or the dilation 1; it says "
            "which of the sizes that the convolution maps to one is meant"
        ),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 2, 2), x(3, 4, 2, 2), padding=2)",
        ValueError,
        (
            "conv_transpose2d: the output would have size (-1, -1), since padding 2 cuts off everything; input (1, 3, 2, 2), "
            "weight (3, 4, 2, 2). A size is (n - 1) stride - 2 padding + dilation (k - 1) + 1 + output_padding"
        ),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 5, 5), x(3, 4, 2, 2), padding='same')",
        TypeError,
        "conv_transpose2d: padding='same' must be an int, or 2 ints, one for each spatial axis (height, width), not str",
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 5, 5), x(3, 4, 2, 2), stride=0.5)",
        TypeError,
        (
            "conv_transpose2d: stride=0.5 must be an int, or 2 ints, one for each spatial axis (height, width), not float; "
            "for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(mask(1, 3, 5, 5), x(3, 4, 2, 2))",
        TypeError,
        "conv_transpose2d: input is bool (1, 3, 5, 5), but must be floating; convert it with .float()",
    ),
    Bad(
        "conv_transpose2d",
        "F.conv_transpose2d(x(1, 3, 5, 5), None)",
        TypeError,
        "conv_transpose2d: weight is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "conv_transpose1d",
        "F.conv_transpose1d(x(5), x(3, 4, 2))",
        ValueError,
        (
            "conv_transpose1d: input has shape (5,), but must be (N, C, L), or (C, L) for a single sample; give it a channel "
            "axis with input.unsqueeze(0)"
        ),
    ),
    Bad(
        "conv_transpose1d",
        "F.conv_transpose1d(x(1, 3, 5), x(3, 4, 2), output_padding=1)",
        ValueError,
        (
            "conv_transpose1d: output_padding 1 along length must be smaller than the stride 1 or the dilation 1; it says "
            "which of the sizes that the convolution maps to one is meant"
        ),
    ),
    Bad(
        "conv_transpose1d",
        "F.conv_transpose1d(x(1, 3, 5), x64(3, 4, 2))",
        TypeError,
        (
            "conv_transpose1d: input is float32, but weight is float64; convert one of them (.float(), .double(), or "
            "module.double())"
        ),
    ),
    Bad(
        "conv_transpose3d",
        "F.conv_transpose3d(x(1, 3, 5, 5), x(3, 4, 2, 2))",
        ValueError,
        (
            "conv_transpose3d: weight has shape (3, 4, 2, 2), but must have 5 axes, (in, out/groups, *kernel) with 3 for the "
            "kernel"
        ),
    ),
    Bad(
        "conv_transpose3d",
        "F.conv_transpose3d(x(1, 3, 5, 5, 5), x(3, 4, 2, 2, 2), dilation=-1)",
        ValueError,
        "conv_transpose3d: dilation=-1 must be at least 1",
    ),
    Bad(
        "conv_transpose3d",
        "F.conv_transpose3d(x(1, 2, 5, 5, 5), x(3, 4, 2, 2, 2))",
        ValueError,
        (
            "conv_transpose3d: input has 2 channels (N, C, D, H, W) = (1, 2, 5, 5, 5), but weight (in, out/groups, *kernel) = "
            "(3, 4, 2, 2, 2) expects 3; give it 3 channels, or make the layer with in_channels=2"
        ),
    ),
    Bad(
        "conv_matrix",
        "minivision.conv_matrix(x(3, 3), 5)",
        ValueError,
        (
            "conv_matrix: weight has shape (3, 3), but must be (out, in/groups, *kernel) with 1 to 3 spatial axes; give a "
            "bare kernel its two channel axes with kernel[None, None]"
        ),
    ),
    Bad(
        "conv_matrix",
        "minivision.conv_matrix(x(1, 1, 3, 3), (5, 5, 5))",
        ValueError,
        (
            "conv_matrix: input_size=(5, 5, 5) has 3 entries, but must be an int, or 2 ints, one for each spatial axis "
            "(height, width)"
        ),
    ),
    Bad(
        "conv_matrix",
        "minivision.conv_matrix(x(1, 1, 3, 3), 2)",
        ValueError,
        (
            "conv_matrix: the kernel does not fit: along height the padded input has 2 + 0 + 0 = 2 positions, but the kernel "
            "spans 1*(3 - 1) + 1 = 3; input (spatial) is (2, 2), kernel (3, 3). Use a larger input, a smaller kernel or "
            "dilation, or more padding"
        ),
    ),
    Bad(
        "conv_matrix",
        "minivision.conv_matrix(x(3, 1, 3, 3), 5, groups=2)",
        ValueError,
        (
            "conv_matrix: groups=2 must divide the input's 2 channels and the weight's 3 output channels; input is (1, 2, 5, "
            "5), weight (3, 1, 3, 3)"
        ),
    ),
    Bad(
        "conv_matrix",
        "minivision.conv_matrix(x(1, 1, 3, 3), 5, dense='yes')",
        TypeError,
        "conv_matrix: dense='yes' must be True or False, not str",
    ),
    Bad(
        "conv_transpose_matrix",
        "minivision.conv_transpose_matrix(x(3, 3), 5)",
        ValueError,
        (
            "conv_transpose_matrix: weight has shape (3, 3), but must be (in, out/groups, *kernel) with 1 to 3 spatial axes; "
            "give a bare kernel its two channel axes with kernel[None, None]"
        ),
    ),
    Bad(
        "conv_transpose_matrix",
        "minivision.conv_transpose_matrix(x(1, 1, 3, 3), 5.0)",
        TypeError,
        (
            "conv_transpose_matrix: input_size=5.0 must be an int, or 2 ints, one for each spatial axis (height, width), not "
            "float; for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "conv_transpose_matrix",
        "minivision.conv_transpose_matrix(x(1, 1, 3, 3), 5, output_padding=1)",
        ValueError,
        (
            "conv_transpose_matrix: output_padding 1 along height must be smaller than the stride 1 or the dilation 1; it "
            "says which of the sizes that the convolution maps to one is meant"
        ),
    ),
    Bad(
        "linear_matrix",
        "minivision.linear_matrix(None, 3)",
        TypeError,
        "linear_matrix: fn=None must be a function from a tensor to a tensor",
    ),
    Bad(
        "linear_matrix",
        "minivision.linear_matrix(lambda x: x, ())",
        ValueError,
        "linear_matrix: input_size=() must name at least one axis, each of length 1 or more",
    ),
    Bad(
        "conv_algorithm",
        "minivision.conv_algorithm('direct')",
        ValueError,
        (
            "conv_algorithm: name='direct' is unknown; use one of 'im2col', 'definition', 'matrix', 'shifted', 'winograd', "
            "'fft', or None for the rule"
        ),
    ),
    Bad(
        "conv_algorithm.explain",
        "minivision.conv_algorithm.explain((3, 9, 9), (8, 3, 3, 3))",
        ValueError,
        (
            "conv_algorithm.explain: input (3, 9, 9) and weight (8, 3, 3, 3) must be (N, C, *size) and (F, C/groups, *kernel), "
            "with 1 to 3 spatial axes"
        ),
    ),
    Bad(
        "linear_matrix",
        "minivision.linear_matrix(lambda x: x, 2.5)",
        TypeError,
        (
            "linear_matrix: input_size=2.5 must be the lengths of an input's axes, or an int for a vector, not float; for "
            "whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "linear_matrix",
        "minivision.linear_matrix(lambda x: x + 1, (2, 2))",
        ValueError,
        (
            "linear_matrix: fn is not linear: fn(0) is not 0 but reaches 1. If it is linear plus a constant (a bias), take "
            "that off: lambda x: fn(x) - fn(0 * x)"
        ),
    ),
    Bad(
        "linear_matrix",
        "minivision.linear_matrix(F.relu, (2, 2))",
        ValueError,
        (
            "linear_matrix: fn is not linear: fn(-1000 x) is not -1000 fn(x), as with a ReLU, a clamp or a normalisation (0 "
            "against -125.73, and 4 of 4 entries differ)"
        ),
    ),
]
