"""Layers, where they are made and where they are called."""

from tests.errors.table import Bad

BAD = [
    Bad(
        "Conv2d",
        "nn.Conv2d(in_channels=3, out_channels=8, kernel_size=3, groups=2)",
        ValueError,
        "Conv2d: groups=2 must divide in_channels=3 and out_channels=8",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(0, 8, 3)",
        ValueError,
        "Conv2d: in_channels=0 must be at least 1",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8.0, 3)",
        TypeError,
        "Conv2d: out_channels=8.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8, 0)",
        ValueError,
        "Conv2d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8, (3, 3, 3))",
        ValueError,
        ("Conv2d: kernel_size=(3, 3, 3) has 3 entries, but must be an int, or 2 ints, one for each spatial axis (height, width)"),
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8, 3, padding='full')",
        ValueError,
        "Conv2d: padding='full' is unknown; use an int, one per axis, 'same' or 'valid'",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8, 3, stride=2, padding='same')",
        ValueError,
        "Conv2d: padding='same' needs stride 1, but the stride along height is 2",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8, 3, padding_mode='mirror')",
        ValueError,
        "Conv2d: padding_mode='mirror' is unknown; use 'zeros', 'reflect', 'replicate' or 'circular'",
    ),
    Bad(
        "Conv2d",
        "nn.Conv2d(3, 8, 3, bias=None)",
        TypeError,
        "Conv2d: bias=None must be True or False",
    ),
    Bad(
        "conv2d",
        "nn.Conv2d(3, 8, 3).to(device)(x(1, 4, 9, 9))",
        ValueError,
        (
            "conv2d: input has 4 channels (N, C, H, W) = (1, 4, 9, 9), but weight (out, in/groups, *kernel) = (8, 3, 3, 3) "
            "expects 3; give it 3 channels, or make the layer with in_channels=4"
        ),
    ),
    Bad(
        "conv2d",
        "nn.Conv2d(3, 8, 3).to(device)(x(1, 9, 9, 3))",
        ValueError,
        (
            "conv2d: input has 9 channels (N, C, H, W) = (1, 9, 9, 3), but weight (out, in/groups, *kernel) = (8, 3, 3, 3) "
            "expects 3; if the channels are last, bring them forward with input.permute(0, 3, 1, 2)"
        ),
    ),
    Bad(
        "conv2d",
        "nn.Conv2d(3, 8, 3).to(device)(x64(1, 3, 9, 9))",
        TypeError,
        "conv2d: input is float64, but weight is float32; convert one of them (.float(), .double(), or module.double())",
    ),
    Bad(
        "Conv1d",
        "nn.Conv1d(3, 8, (3, 3))",
        ValueError,
        "Conv1d: kernel_size=(3, 3) has 2 entries, but must be an int",
    ),
    Bad(
        "Conv1d",
        "nn.Conv1d('3', 8, 3)",
        TypeError,
        "Conv1d: in_channels='3' must be an int, not str",
    ),
    Bad(
        "Conv1d",
        "nn.Conv1d(3, 8, 3, groups=3)",
        ValueError,
        "Conv1d: groups=3 must divide in_channels=3 and out_channels=8",
    ),
    Bad(
        "Conv3d",
        "nn.Conv3d(3, 8, (3, 3))",
        ValueError,
        (
            "Conv3d: kernel_size=(3, 3) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, "
            "height, width)"
        ),
    ),
    Bad(
        "Conv3d",
        "nn.Conv3d(3, -8, 3)",
        ValueError,
        "Conv3d: out_channels=-8 must be at least 1",
    ),
    Bad(
        "Conv3d",
        "nn.Conv3d(3, 8, 3, dilation=0)",
        ValueError,
        "Conv3d: dilation=0 must be at least 1",
    ),
    Bad(
        "ConvTranspose2d",
        "nn.ConvTranspose2d(3, 8, 2, stride=0)",
        ValueError,
        "ConvTranspose2d: stride=0 must be at least 1",
    ),
    Bad(
        "ConvTranspose2d",
        "nn.ConvTranspose2d(3, 8, 2, padding='same')",
        TypeError,
        "ConvTranspose2d: padding='same' must be an int, or 2 ints, one for each spatial axis (height, width), not str",
    ),
    Bad(
        "ConvTranspose2d",
        "nn.ConvTranspose2d(3, 8, 2, groups=2)",
        ValueError,
        "ConvTranspose2d: groups=2 must divide in_channels=3 and out_channels=8",
    ),
    Bad(
        "ConvTranspose2d",
        "nn.ConvTranspose2d(3, 8, 2, stride=2).to(device)(x(1, 3, 4, 4), output_size=(12, 12))",
        ValueError,
        (
            "ConvTranspose2d: output_size 12 along height is outside [8, 9], the sizes that input (1, 3, 4, 4) can be "
            "upsampled to with kernel (2, 2), stride (2, 2)"
        ),
    ),
    Bad(
        "ConvTranspose2d",
        "nn.ConvTranspose2d(3, 8, 2, stride=2).to(device)(x(1, 3, 4, 4), output_size=9)",
        TypeError,
        "ConvTranspose2d: output_size=9 must be the size of the output, 2 lengths, or the whole shape, not int",
    ),
    Bad(
        "ConvTranspose1d",
        "nn.ConvTranspose1d(3, 8, None)",
        TypeError,
        "ConvTranspose1d: kernel_size=None must be an int",
    ),
    Bad(
        "ConvTranspose1d",
        "nn.ConvTranspose1d(3, 8, 2, output_padding=-1)",
        ValueError,
        "ConvTranspose1d: output_padding=-1 must be at least 0",
    ),
    Bad(
        "ConvTranspose1d",
        "nn.ConvTranspose1d(3, 8, 2, bias='no')",
        TypeError,
        "ConvTranspose1d: bias='no' must be True or False, not str",
    ),
    Bad(
        "ConvTranspose3d",
        "nn.ConvTranspose3d(3, 8, (2, 2))",
        ValueError,
        (
            "ConvTranspose3d: kernel_size=(2, 2) has 2 entries, but must be an int, or 3 ints, one for each spatial axis "
            "(depth, height, width)"
        ),
    ),
    Bad(
        "ConvTranspose3d",
        "nn.ConvTranspose3d(3, 0, 2)",
        ValueError,
        "ConvTranspose3d: out_channels=0 must be at least 1",
    ),
    Bad(
        "ConvTranspose3d",
        "nn.ConvTranspose3d(3, 8, 2, dilation=1.5)",
        TypeError,
        (
            "ConvTranspose3d: dilation=1.5 must be an int, or 3 ints, one for each spatial axis (depth, height, width), not "
            "float; for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "Linear",
        "nn.Linear(0, 3)",
        ValueError,
        "Linear: in_features=0 must be at least 1",
    ),
    Bad(
        "Linear",
        "nn.Linear(4, 3.0)",
        TypeError,
        "Linear: out_features=3.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Linear",
        "nn.Linear((4, 4), 3)",
        TypeError,
        "Linear: in_features=(4, 4) must be an int, not tuple",
    ),
    Bad(
        "Linear",
        "nn.Linear(4, 3, bias=2)",
        TypeError,
        "Linear: bias=2 must be True or False, not int",
    ),
    Bad(
        "linear",
        "nn.Linear(48, 5).to(device)(x(2, 3, 4, 4))",
        ValueError,
        (
            "linear: input (..., in) = (2, 3, 4, 4) has 4 features, but weight (out, in) = (5, 48) expects 48; flatten each "
            "sample first: 3 * 4 * 4 = 48, input.flatten(1)"
        ),
    ),
    Bad(
        "linear",
        "nn.Linear(4, 5).to(device)(x(2, 3))",
        ValueError,
        (
            "linear: input (..., in) = (2, 3) has 3 features, but weight (out, in) = (5, 4) expects 4; make the layer with "
            "in_features=3"
        ),
    ),
    Bad(
        "Bilinear",
        "nn.Bilinear(0, 3, 2)",
        ValueError,
        "Bilinear: in1_features=0 must be at least 1",
    ),
    Bad(
        "Bilinear",
        "nn.Bilinear(4, None, 2)",
        TypeError,
        "Bilinear: in2_features=None must be an int",
    ),
    Bad(
        "Bilinear",
        "nn.Bilinear(4, 3, -2)",
        ValueError,
        "Bilinear: out_features=-2 must be at least 1",
    ),
    Bad(
        "Embedding",
        "nn.Embedding(0, 3)",
        ValueError,
        "Embedding: num_embeddings=0 must be at least 1",
    ),
    Bad(
        "Embedding",
        "nn.Embedding(5, 3, padding_idx=5)",
        ValueError,
        "Embedding: padding_idx=5 is not one of the 5 rows",
    ),
    Bad(
        "Embedding",
        "nn.Embedding(5, '3')",
        TypeError,
        "Embedding: embedding_dim='3' must be an int, not str",
    ),
    Bad(
        "Embedding",
        "nn.Embedding(5, 3, max_norm=0)",
        ValueError,
        "Embedding: max_norm=0 must be positive",
    ),
    Bad(
        "embedding",
        "nn.Embedding(5, 3).to(device)(labels(2) + 5)",
        IndexError,
        "embedding: input holds 5, which is not one of the rows 0 .. 4 of weight (5, 3)",
    ),
    Bad(
        "Embedding.from_pretrained",
        "nn.Embedding.from_pretrained(x(5))",
        ValueError,
        "Embedding.from_pretrained: embeddings has shape (5,), but must be a table (V, D)",
    ),
    Bad(
        "Embedding.from_pretrained",
        "nn.Embedding.from_pretrained(None)",
        TypeError,
        "Embedding.from_pretrained: embeddings is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "MaxPool2d",
        "nn.MaxPool2d(0)",
        ValueError,
        "MaxPool2d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "MaxPool2d",
        "nn.MaxPool2d((2, 2, 2))",
        ValueError,
        (
            "MaxPool2d: kernel_size=(2, 2, 2) has 3 entries, but must be an int, or 2 ints, one for each spatial axis "
            "(height, width)"
        ),
    ),
    Bad(
        "MaxPool2d",
        "nn.MaxPool2d(2, padding='same')",
        TypeError,
        "MaxPool2d: padding='same' must be an int, or 2 ints, one for each spatial axis (height, width), not str",
    ),
    Bad(
        "MaxPool2d",
        "nn.MaxPool2d(2, ceil_mode='yes')",
        TypeError,
        "MaxPool2d: ceil_mode='yes' must be True or False, not str",
    ),
    Bad(
        "MaxPool1d",
        "nn.MaxPool1d(2.5)",
        TypeError,
        "MaxPool1d: kernel_size=2.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "MaxPool1d",
        "nn.MaxPool1d(2, stride=0)",
        ValueError,
        "MaxPool1d: stride=0 must be at least 1",
    ),
    Bad(
        "MaxPool1d",
        "nn.MaxPool1d((2, 2))",
        ValueError,
        "MaxPool1d: kernel_size=(2, 2) has 2 entries, but must be an int",
    ),
    Bad(
        "MaxPool3d",
        "nn.MaxPool3d((2, 2))",
        ValueError,
        (
            "MaxPool3d: kernel_size=(2, 2) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, "
            "height, width)"
        ),
    ),
    Bad(
        "MaxPool3d",
        "nn.MaxPool3d(2, dilation=0)",
        ValueError,
        "MaxPool3d: dilation=0 must be at least 1",
    ),
    Bad(
        "MaxPool3d",
        "nn.MaxPool3d(2, return_indices=None)",
        TypeError,
        "MaxPool3d: return_indices=None must be True or False",
    ),
    Bad(
        "AvgPool2d",
        "nn.AvgPool2d(-1)",
        ValueError,
        "AvgPool2d: kernel_size=-1 must be at least 1",
    ),
    Bad(
        "AvgPool2d",
        "nn.AvgPool2d(2, padding=-1)",
        ValueError,
        "AvgPool2d: padding=-1 must be at least 0",
    ),
    Bad(
        "AvgPool2d",
        "nn.AvgPool2d(2, count_include_pad='no')",
        TypeError,
        "AvgPool2d: count_include_pad='no' must be True or False, not str",
    ),
    Bad(
        "AvgPool1d",
        "nn.AvgPool1d('2')",
        TypeError,
        "AvgPool1d: kernel_size='2' must be an int, not str",
    ),
    Bad(
        "AvgPool1d",
        "nn.AvgPool1d(2, 0)",
        ValueError,
        "AvgPool1d: stride=0 must be at least 1",
    ),
    Bad(
        "AvgPool1d",
        "nn.AvgPool1d((2, 2))",
        ValueError,
        "AvgPool1d: kernel_size=(2, 2) has 2 entries, but must be an int",
    ),
    Bad(
        "AvgPool3d",
        "nn.AvgPool3d(None)",
        TypeError,
        "AvgPool3d: kernel_size=None must be an int, or 3 ints, one for each spatial axis (depth, height, width)",
    ),
    Bad(
        "AvgPool3d",
        "nn.AvgPool3d((2, 2))",
        ValueError,
        (
            "AvgPool3d: kernel_size=(2, 2) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, "
            "height, width)"
        ),
    ),
    Bad(
        "AvgPool3d",
        "nn.AvgPool3d(2, ceil_mode=2)",
        TypeError,
        "AvgPool3d: ceil_mode=2 must be True or False, not int",
    ),
    Bad(
        "LPPool2d",
        "nn.LPPool2d('2', 2)",
        TypeError,
        "LPPool2d: norm_type='2' must be a number, not str",
    ),
    Bad(
        "LPPool2d",
        "nn.LPPool2d(2, 0)",
        ValueError,
        "LPPool2d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "LPPool2d",
        "nn.LPPool2d(2, 2, ceil_mode=None)",
        TypeError,
        "LPPool2d: ceil_mode=None must be True or False",
    ),
    Bad(
        "LPPool1d",
        "nn.LPPool1d(None, 2)",
        TypeError,
        "LPPool1d: norm_type=None must be a number",
    ),
    Bad(
        "LPPool1d",
        "nn.LPPool1d(2, (2, 2))",
        ValueError,
        "LPPool1d: kernel_size=(2, 2) has 2 entries, but must be an int",
    ),
    Bad(
        "LPPool1d",
        "nn.LPPool1d(2, 2, 0)",
        ValueError,
        "LPPool1d: stride=0 must be at least 1",
    ),
    Bad(
        "LPPool3d",
        "nn.LPPool3d(True, 2)",
        TypeError,
        "LPPool3d: norm_type=True must be a number, not bool",
    ),
    Bad(
        "LPPool3d",
        "nn.LPPool3d(2, 2.5)",
        TypeError,
        (
            "LPPool3d: kernel_size=2.5 must be an int, or 3 ints, one for each spatial axis (depth, height, width), not "
            "float; for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "LPPool3d",
        "nn.LPPool3d(2, 2, (1, 1))",
        ValueError,
        (
            "LPPool3d: stride=(1, 1) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, height, "
            "width)"
        ),
    ),
    Bad(
        "AdaptiveAvgPool2d",
        "nn.AdaptiveAvgPool2d(0)",
        ValueError,
        "AdaptiveAvgPool2d: output_size=0 must be a positive int, or two of them (h, w); None keeps a length",
    ),
    Bad(
        "AdaptiveAvgPool2d",
        "nn.AdaptiveAvgPool2d((1, 2, 3))",
        ValueError,
        (
            "AdaptiveAvgPool2d: output_size=(1, 2, 3) has 3 entries, but must be a positive int, or two of them (h, w); None "
            "keeps a length"
        ),
    ),
    Bad(
        "AdaptiveAvgPool2d",
        "nn.AdaptiveAvgPool2d('1')",
        TypeError,
        "AdaptiveAvgPool2d: output_size='1' must be a positive int, or two of them (h, w), not str",
    ),
    Bad(
        "AdaptiveAvgPool1d",
        "nn.AdaptiveAvgPool1d((1, 2))",
        ValueError,
        "AdaptiveAvgPool1d: output_size=(1, 2) has 2 entries, but must be a positive int; None keeps a length",
    ),
    Bad(
        "AdaptiveAvgPool1d",
        "nn.AdaptiveAvgPool1d(-1)",
        ValueError,
        "AdaptiveAvgPool1d: output_size=-1 must be a positive int; None keeps a length",
    ),
    Bad(
        "AdaptiveAvgPool1d",
        "nn.AdaptiveAvgPool1d(1.5)",
        TypeError,
        (
            "AdaptiveAvgPool1d: output_size=1.5 must be a positive int, not float; for whole numbers divide with //, or round "
            "with int()"
        ),
    ),
    Bad(
        "AdaptiveAvgPool3d",
        "nn.AdaptiveAvgPool3d((1, 2))",
        ValueError,
        (
            "AdaptiveAvgPool3d: output_size=(1, 2) has 2 entries, but must be a positive int, or three of them (d, h, w); "
            "None keeps a length"
        ),
    ),
    Bad(
        "AdaptiveAvgPool3d",
        "nn.AdaptiveAvgPool3d(0)",
        ValueError,
        "AdaptiveAvgPool3d: output_size=0 must be a positive int, or three of them (d, h, w); None keeps a length",
    ),
    Bad(
        "AdaptiveAvgPool3d",
        "nn.AdaptiveAvgPool3d((1, 1, '1'))",
        TypeError,
        "AdaptiveAvgPool3d: output_size[2]='1' must be a positive int, or three of them (d, h, w), not str",
    ),
    Bad(
        "AdaptiveMaxPool2d",
        "nn.AdaptiveMaxPool2d((2, 0))",
        ValueError,
        "AdaptiveMaxPool2d: output_size[1]=0 must be a positive int, or two of them (h, w); None keeps a length",
    ),
    Bad(
        "AdaptiveMaxPool2d",
        "nn.AdaptiveMaxPool2d(2.0)",
        TypeError,
        (
            "AdaptiveMaxPool2d: output_size=2.0 must be a positive int, or two of them (h, w), not float; for whole numbers "
            "divide with //, or round with int()"
        ),
    ),
    Bad(
        "AdaptiveMaxPool2d",
        "nn.AdaptiveMaxPool2d(2, 'yes')",
        TypeError,
        "AdaptiveMaxPool2d: return_indices='yes' must be True or False, not str",
    ),
    Bad(
        "AdaptiveMaxPool1d",
        "nn.AdaptiveMaxPool1d(0)",
        ValueError,
        "AdaptiveMaxPool1d: output_size=0 must be a positive int; None keeps a length",
    ),
    Bad(
        "AdaptiveMaxPool1d",
        "nn.AdaptiveMaxPool1d((2, 2))",
        ValueError,
        "AdaptiveMaxPool1d: output_size=(2, 2) has 2 entries, but must be a positive int; None keeps a length",
    ),
    Bad(
        "AdaptiveMaxPool1d",
        "nn.AdaptiveMaxPool1d(True)",
        TypeError,
        "AdaptiveMaxPool1d: output_size=True must be a positive int, not bool",
    ),
    Bad(
        "AdaptiveMaxPool3d",
        "nn.AdaptiveMaxPool3d(0)",
        ValueError,
        "AdaptiveMaxPool3d: output_size=0 must be a positive int, or three of them (d, h, w); None keeps a length",
    ),
    Bad(
        "AdaptiveMaxPool3d",
        "nn.AdaptiveMaxPool3d((2, 2))",
        ValueError,
        (
            "AdaptiveMaxPool3d: output_size=(2, 2) has 2 entries, but must be a positive int, or three of them (d, h, w); "
            "None keeps a length"
        ),
    ),
    Bad(
        "AdaptiveMaxPool3d",
        "nn.AdaptiveMaxPool3d('2')",
        TypeError,
        "AdaptiveMaxPool3d: output_size='2' must be a positive int, or three of them (d, h, w), not str",
    ),
    Bad(
        "MaxUnpool2d",
        "nn.MaxUnpool2d(0)",
        ValueError,
        "MaxUnpool2d: kernel_size=0 must be at least 1",
    ),
    Bad(
        "MaxUnpool2d",
        "nn.MaxUnpool2d(2, 2.5)",
        TypeError,
        (
            "MaxUnpool2d: stride=2.5 must be an int, or 2 ints, one for each spatial axis (height, width), not float; for "
            "whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "MaxUnpool2d",
        "nn.MaxUnpool2d(2, 2, -1)",
        ValueError,
        "MaxUnpool2d: padding=-1 must be at least 0",
    ),
    Bad(
        "MaxUnpool1d",
        "nn.MaxUnpool1d(None)",
        TypeError,
        "MaxUnpool1d: kernel_size=None must be an int",
    ),
    Bad(
        "MaxUnpool1d",
        "nn.MaxUnpool1d(2, 0)",
        ValueError,
        "MaxUnpool1d: stride=0 must be at least 1",
    ),
    Bad(
        "MaxUnpool1d",
        "nn.MaxUnpool1d((2, 2))",
        ValueError,
        "MaxUnpool1d: kernel_size=(2, 2) has 2 entries, but must be an int",
    ),
    Bad(
        "MaxUnpool3d",
        "nn.MaxUnpool3d((2, 2))",
        ValueError,
        (
            "MaxUnpool3d: kernel_size=(2, 2) has 2 entries, but must be an int, or 3 ints, one for each spatial axis (depth, "
            "height, width)"
        ),
    ),
    Bad(
        "MaxUnpool3d",
        "nn.MaxUnpool3d('2')",
        TypeError,
        ("MaxUnpool3d: kernel_size='2' must be an int, or 3 ints, one for each spatial axis (depth, height, width), not str"),
    ),
    Bad(
        "MaxUnpool3d",
        "nn.MaxUnpool3d(2, 2, 1.5)",
        TypeError,
        (
            "MaxUnpool3d: padding=1.5 must be an int, or 3 ints, one for each spatial axis (depth, height, width), not float; "
            "for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(0)",
        ValueError,
        "BatchNorm2d: num_features=0 must be at least 1",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d('3')",
        TypeError,
        "BatchNorm2d: num_features='3' must be an int, not str",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(3, eps=None)",
        TypeError,
        "BatchNorm2d: eps=None must be a number",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(3, momentum='0.1')",
        TypeError,
        "BatchNorm2d: momentum='0.1' must be a number, not str",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(3, affine='yes')",
        TypeError,
        "BatchNorm2d: affine='yes' must be True or False, not str",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(3).to(device)(x(2, 4, 5, 5))",
        ValueError,
        "BatchNorm2d: input has shape (2, 4, 5, 5), but must be (N, C, H, W) with C = 3",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(3).to(device)(x(2, 3))",
        ValueError,
        "BatchNorm2d: input has shape (2, 3), but must be (N, C, H, W) with C = 3",
    ),
    Bad(
        "BatchNorm2d",
        "nn.BatchNorm2d(3).to(device)(None)",
        TypeError,
        "BatchNorm2d: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "batch_norm",
        "nn.BatchNorm2d(3).to(device)(x(1, 3, 1, 1))",
        ValueError,
        (
            "batch_norm: in training each channel needs more than one value to have a variance, but input (1, 3, 1, 1) has "
            "one per channel; use a larger batch, group_norm, or module.eval()"
        ),
    ),
    Bad(
        "BatchNorm1d",
        "nn.BatchNorm1d(3.0)",
        TypeError,
        "BatchNorm1d: num_features=3.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "BatchNorm1d",
        "nn.BatchNorm1d(3).to(device)(x(3))",
        ValueError,
        "BatchNorm1d: input has shape (3,), but must be (N, C) or (N, C, L) with C = 3",
    ),
    Bad(
        "BatchNorm1d",
        "nn.BatchNorm1d(3).to(device)(x(2, 3, 5, 5))",
        ValueError,
        "BatchNorm1d: input has shape (2, 3, 5, 5), but must be (N, C) or (N, C, L) with C = 3",
    ),
    Bad(
        "BatchNorm3d",
        "nn.BatchNorm3d(-3)",
        ValueError,
        "BatchNorm3d: num_features=-3 must be at least 1",
    ),
    Bad(
        "BatchNorm3d",
        "nn.BatchNorm3d(3, track_running_stats=None)",
        TypeError,
        "BatchNorm3d: track_running_stats=None must be True or False",
    ),
    Bad(
        "BatchNorm3d",
        "nn.BatchNorm3d(3).to(device)(x(2, 3, 5, 5))",
        ValueError,
        "BatchNorm3d: input has shape (2, 3, 5, 5), but must be (N, C, D, H, W) with C = 3",
    ),
    Bad(
        "InstanceNorm2d",
        "nn.InstanceNorm2d(0)",
        ValueError,
        "InstanceNorm2d: num_features=0 must be at least 1",
    ),
    Bad(
        "InstanceNorm2d",
        "nn.InstanceNorm2d(3).to(device)(x(2, 4, 5, 5))",
        ValueError,
        "InstanceNorm2d: input has shape (2, 4, 5, 5), but must be (N, C, H, W), with or without N, and with C = 3",
    ),
    Bad(
        "InstanceNorm2d",
        "nn.InstanceNorm2d(3, eps=-1)",
        ValueError,
        "InstanceNorm2d: eps=-1 must not be negative",
    ),
    Bad(
        "InstanceNorm1d",
        "nn.InstanceNorm1d(None)",
        TypeError,
        "InstanceNorm1d: num_features=None must be an int",
    ),
    Bad(
        "InstanceNorm1d",
        "nn.InstanceNorm1d(3).to(device)(x(3))",
        ValueError,
        "InstanceNorm1d: input has shape (3,), but must be (N, C, L), with or without N, and with C = 3",
    ),
    Bad(
        "InstanceNorm1d",
        "nn.InstanceNorm1d(3, affine=1)",
        TypeError,
        "InstanceNorm1d: affine=1 must be True or False, not int",
    ),
    Bad(
        "InstanceNorm3d",
        "nn.InstanceNorm3d(2.5)",
        TypeError,
        ("InstanceNorm3d: num_features=2.5 must be an int, not float; for whole numbers divide with //, or round with int()"),
    ),
    Bad(
        "InstanceNorm3d",
        "nn.InstanceNorm3d(3).to(device)(x(2, 3, 5))",
        ValueError,
        "InstanceNorm3d: input has shape (2, 3, 5), but must be (N, C, D, H, W), with or without N, and with C = 3",
    ),
    Bad(
        "InstanceNorm3d",
        "nn.InstanceNorm3d(3, momentum='a')",
        TypeError,
        "InstanceNorm3d: momentum='a' must be a number, not str",
    ),
    Bad(
        "GroupNorm",
        "nn.GroupNorm(4, 6)",
        ValueError,
        "GroupNorm: num_groups=4 must divide num_channels=6",
    ),
    Bad(
        "GroupNorm",
        "nn.GroupNorm(0, 6)",
        ValueError,
        "GroupNorm: num_groups=0 must be at least 1",
    ),
    Bad(
        "GroupNorm",
        "nn.GroupNorm(2, 6.0)",
        TypeError,
        "GroupNorm: num_channels=6.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "LayerNorm",
        "nn.LayerNorm(())",
        ValueError,
        "LayerNorm: normalized_shape=() must be an int or a sequence of them, the lengths of the input's last axes",
    ),
    Bad(
        "LayerNorm",
        "nn.LayerNorm('5')",
        TypeError,
        ("LayerNorm: normalized_shape='5' must be an int or a sequence of them, the lengths of the input's last axes, not str"),
    ),
    Bad(
        "LayerNorm",
        "nn.LayerNorm((4, 2.5))",
        TypeError,
        ("LayerNorm: normalized_shape[1]=2.5 must be an int, not float; for whole numbers divide with //, or round with int()"),
    ),
    Bad(
        "LocalResponseNorm",
        "nn.LocalResponseNorm(0)",
        ValueError,
        "LocalResponseNorm: size=0 must be at least 1",
    ),
    Bad(
        "LocalResponseNorm",
        "nn.LocalResponseNorm(5, beta=None)",
        TypeError,
        "LocalResponseNorm: beta=None must be a number",
    ),
    Bad(
        "LocalResponseNorm",
        "nn.LocalResponseNorm(2.5)",
        TypeError,
        "LocalResponseNorm: size=2.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Dropout",
        "nn.Dropout(1.5)",
        ValueError,
        "Dropout: p=1.5 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "Dropout",
        "nn.Dropout(-0.5)",
        ValueError,
        "Dropout: p=-0.5 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "Dropout",
        "nn.Dropout('0.5')",
        TypeError,
        "Dropout: p='0.5' must be a number, not str",
    ),
    Bad(
        "Dropout2d",
        "nn.Dropout2d(50)",
        ValueError,
        "Dropout2d: p=50 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "Dropout2d",
        "nn.Dropout2d(None)",
        TypeError,
        "Dropout2d: p=None must be a number",
    ),
    Bad(
        "Dropout2d",
        "nn.Dropout2d(True)",
        TypeError,
        "Dropout2d: p=True must be a number, not bool",
    ),
    Bad(
        "Dropout1d",
        "nn.Dropout1d(2)",
        ValueError,
        "Dropout1d: p=2 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "Dropout1d",
        "nn.Dropout1d(float('nan'))",
        ValueError,
        "Dropout1d: p=nan must be a finite number",
    ),
    Bad(
        "Dropout1d",
        "nn.Dropout1d('0.1')",
        TypeError,
        "Dropout1d: p='0.1' must be a number, not str",
    ),
    Bad(
        "Dropout3d",
        "nn.Dropout3d(-1)",
        ValueError,
        "Dropout3d: p=-1 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "Dropout3d",
        "nn.Dropout3d(None)",
        TypeError,
        "Dropout3d: p=None must be a number",
    ),
    Bad(
        "Dropout3d",
        "nn.Dropout3d('0.1')",
        TypeError,
        "Dropout3d: p='0.1' must be a number, not str",
    ),
    Bad(
        "AlphaDropout",
        "nn.AlphaDropout(1.1)",
        ValueError,
        "AlphaDropout: p=1.1 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "AlphaDropout",
        "nn.AlphaDropout(None)",
        TypeError,
        "AlphaDropout: p=None must be a number",
    ),
    Bad(
        "AlphaDropout",
        "nn.AlphaDropout('0.1')",
        TypeError,
        "AlphaDropout: p='0.1' must be a number, not str",
    ),
    Bad(
        "Upsample",
        "nn.Upsample()",
        ValueError,
        "Upsample: give either size or scale_factor (got size=None, scale_factor=None)",
    ),
    Bad(
        "Upsample",
        "nn.Upsample(8, 2)",
        ValueError,
        "Upsample: give either size or scale_factor (got size=8, scale_factor=2)",
    ),
    Bad(
        "Upsample",
        "nn.Upsample(scale_factor='2')",
        TypeError,
        "Upsample: scale_factor='2' must be a number, not str",
    ),
    Bad(
        "Upsample",
        "nn.Upsample(scale_factor=2, mode='linearly')",
        ValueError,
        (
            "Upsample: mode='linearly' is unknown; use 'nearest', 'nearest-exact', 'area', 'linear', 'bilinear', 'trilinear' "
            "or 'bicubic'"
        ),
    ),
    Bad(
        "Upsample",
        "nn.Upsample(size=8.5)",
        TypeError,
        "Upsample: size=8.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "UpsamplingNearest2d",
        "nn.UpsamplingNearest2d()",
        ValueError,
        "UpsamplingNearest2d: give either size or scale_factor (got size=None, scale_factor=None)",
    ),
    Bad(
        "UpsamplingNearest2d",
        "nn.UpsamplingNearest2d(0)",
        ValueError,
        "UpsamplingNearest2d: size=0 must be at least 1",
    ),
    Bad(
        "UpsamplingNearest2d",
        "nn.UpsamplingNearest2d(scale_factor=-1)",
        ValueError,
        "UpsamplingNearest2d: scale_factor=-1 must be positive",
    ),
    Bad(
        "UpsamplingBilinear2d",
        "nn.UpsamplingBilinear2d()",
        ValueError,
        "UpsamplingBilinear2d: give either size or scale_factor (got size=None, scale_factor=None)",
    ),
    Bad(
        "UpsamplingBilinear2d",
        "nn.UpsamplingBilinear2d('8')",
        TypeError,
        "UpsamplingBilinear2d: size='8' must be an int, not str",
    ),
    Bad(
        "UpsamplingBilinear2d",
        "nn.UpsamplingBilinear2d(scale_factor=0)",
        ValueError,
        "UpsamplingBilinear2d: scale_factor=0 must be positive",
    ),
    Bad(
        "PixelShuffle",
        "nn.PixelShuffle(0)",
        ValueError,
        "PixelShuffle: upscale_factor=0 must be at least 1",
    ),
    Bad(
        "PixelShuffle",
        "nn.PixelShuffle(2.0)",
        TypeError,
        ("PixelShuffle: upscale_factor=2.0 must be an int, not float; for whole numbers divide with //, or round with int()"),
    ),
    Bad(
        "PixelShuffle",
        "nn.PixelShuffle(None)",
        TypeError,
        "PixelShuffle: upscale_factor=None must be an int",
    ),
    Bad(
        "PixelUnshuffle",
        "nn.PixelUnshuffle(-2)",
        ValueError,
        "PixelUnshuffle: downscale_factor=-2 must be at least 1",
    ),
    Bad(
        "PixelUnshuffle",
        "nn.PixelUnshuffle('2')",
        TypeError,
        "PixelUnshuffle: downscale_factor='2' must be an int, not str",
    ),
    Bad(
        "PixelUnshuffle",
        "nn.PixelUnshuffle(True)",
        TypeError,
        "PixelUnshuffle: downscale_factor=True must be an int, not bool",
    ),
    Bad(
        "ChannelShuffle",
        "nn.ChannelShuffle(0)",
        ValueError,
        "ChannelShuffle: groups=0 must be at least 1",
    ),
    Bad(
        "ChannelShuffle",
        "nn.ChannelShuffle(1.5)",
        TypeError,
        "ChannelShuffle: groups=1.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "ChannelShuffle",
        "nn.ChannelShuffle(None)",
        TypeError,
        "ChannelShuffle: groups=None must be an int",
    ),
    Bad(
        "Unfold",
        "nn.Unfold(0)",
        ValueError,
        "Unfold: kernel_size=0 must be at least 1",
    ),
    Bad(
        "Unfold",
        "nn.Unfold(3, stride=0)",
        ValueError,
        "Unfold: stride=0 must be at least 1",
    ),
    Bad(
        "Unfold",
        "nn.Unfold((3, 3, 3))",
        ValueError,
        ("Unfold: kernel_size=(3, 3, 3) has 3 entries, but must be an int, or 2 ints, one for each spatial axis (height, width)"),
    ),
    Bad(
        "Fold",
        "nn.Fold(0, 3)",
        ValueError,
        "Fold: output_size=0 must be at least 1",
    ),
    Bad(
        "Fold",
        "nn.Fold((4, 4, 4), 3)",
        ValueError,
        ("Fold: output_size=(4, 4, 4) has 3 entries, but must be an int, or 2 ints, one for each spatial axis (height, width)"),
    ),
    Bad(
        "Fold",
        "nn.Fold(4, 3.5)",
        TypeError,
        (
            "Fold: kernel_size=3.5 must be an int, or 2 ints, one for each spatial axis (height, width), not float; for whole "
            "numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "ZeroPad2d",
        "nn.ZeroPad2d((1, 2, 3))",
        ValueError,
        (
            "ZeroPad2d: padding=(1, 2, 3) has 3 entries, but must be an int or 4 of them, (before, after) for each axis, the "
            "last axis first"
        ),
    ),
    Bad(
        "ZeroPad2d",
        "nn.ZeroPad2d(1.5)",
        TypeError,
        (
            "ZeroPad2d: padding=1.5 must be an int or 4 of them, (before, after) for each axis, the last axis first, not "
            "float; for whole numbers divide with //, or round with int()"
        ),
    ),
    Bad(
        "ZeroPad2d",
        "nn.ZeroPad2d(None)",
        TypeError,
        "ZeroPad2d: padding=None must be an int or 4 of them, (before, after) for each axis, the last axis first",
    ),
    Bad(
        "ConstantPad2d",
        "nn.ConstantPad2d(1, None)",
        TypeError,
        "ConstantPad2d: value=None must be a number",
    ),
    Bad(
        "ConstantPad2d",
        "nn.ConstantPad2d('1', 0)",
        TypeError,
        ("ConstantPad2d: padding='1' must be an int or 4 of them, (before, after) for each axis, the last axis first, not str"),
    ),
    Bad(
        "ConstantPad2d",
        "nn.ConstantPad2d((1, 1), 0)",
        ValueError,
        (
            "ConstantPad2d: padding=(1, 1) has 2 entries, but must be an int or 4 of them, (before, after) for each axis, the "
            "last axis first"
        ),
    ),
    Bad(
        "ReflectionPad2d",
        "nn.ReflectionPad2d((1, 1))",
        ValueError,
        (
            "ReflectionPad2d: padding=(1, 1) has 2 entries, but must be an int or 4 of them, (before, after) for each axis, "
            "the last axis first"
        ),
    ),
    Bad(
        "ReflectionPad2d",
        "nn.ReflectionPad2d('1')",
        TypeError,
        ("ReflectionPad2d: padding='1' must be an int or 4 of them, (before, after) for each axis, the last axis first, not str"),
    ),
    Bad(
        "ReflectionPad2d",
        "nn.ReflectionPad2d((1, 1, 1, 0.5))",
        TypeError,
        "ReflectionPad2d: padding[3]=0.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "pad",
        "nn.ReflectionPad2d(5)(x(1, 3, 5, 5))",
        ValueError,
        (
            "pad: reflecting 5 positions needs an axis longer than that, but the axis has 5; pad=(5, 5, 5, 5), input is (1, "
            "3, 5, 5)"
        ),
    ),
    Bad(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss(reduction='avg')",
        ValueError,
        "CrossEntropyLoss: reduction='avg' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss(weight=labels(3))",
        TypeError,
        "CrossEntropyLoss: weight is int64 (3,), but must be floating; convert it with .float()",
    ),
    Bad(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss(weight=x(3, 1))",
        ValueError,
        "CrossEntropyLoss: weight has shape (3, 1), but must hold one number for each class, (C,)",
    ),
    Bad(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss(label_smoothing=2)",
        ValueError,
        "CrossEntropyLoss: label_smoothing=2 is a probability and must lie in [0, 1]",
    ),
    Bad(
        "CrossEntropyLoss",
        "nn.CrossEntropyLoss(ignore_index=None)",
        TypeError,
        "CrossEntropyLoss: ignore_index=None must be an int",
    ),
    Bad(
        "NLLLoss",
        "nn.NLLLoss(weight=x())",
        ValueError,
        "NLLLoss: weight has shape (), but must hold one number for each class, (C,)",
    ),
    Bad(
        "NLLLoss",
        "nn.NLLLoss(reduction=None)",
        ValueError,
        "NLLLoss: reduction=None is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "NLLLoss",
        "nn.NLLLoss(ignore_index='255')",
        TypeError,
        "NLLLoss: ignore_index='255' must be an int, not str",
    ),
    Bad(
        "BCELoss",
        "nn.BCELoss(reduction='avg')",
        ValueError,
        "BCELoss: reduction='avg' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "BCELoss",
        "nn.BCELoss(weight='1')",
        TypeError,
        "BCELoss: weight is '1' (str), but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "BCELoss",
        "nn.BCELoss(size_average=True)",
        ValueError,
        (
            "BCELoss: size_average=True is a setting of old programs that reduction has replaced; name the argument, as in "
            "reduction='sum'"
        ),
    ),
    Bad(
        "BCEWithLogitsLoss",
        "nn.BCEWithLogitsLoss(pos_weight=labels(3))",
        TypeError,
        "BCEWithLogitsLoss: pos_weight is int64 (3,), but must be floating; convert it with .float()",
    ),
    Bad(
        "BCEWithLogitsLoss",
        "nn.BCEWithLogitsLoss(reduction='x')",
        ValueError,
        "BCEWithLogitsLoss: reduction='x' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "BCEWithLogitsLoss",
        "nn.BCEWithLogitsLoss(reduce=True)",
        ValueError,
        (
            "BCEWithLogitsLoss: reduce=True is a setting of old programs that reduction has replaced; name the argument, as "
            "in reduction='sum'"
        ),
    ),
    Bad(
        "MSELoss",
        "nn.MSELoss('sum')",
        ValueError,
        (
            "MSELoss: size_average='sum' is a setting of old programs that reduction has replaced; name the argument, as in "
            "reduction='sum'"
        ),
    ),
    Bad(
        "MSELoss",
        "nn.MSELoss(reduction='rmse')",
        ValueError,
        "MSELoss: reduction='rmse' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "MSELoss",
        "nn.MSELoss(reduction=3)",
        ValueError,
        "MSELoss: reduction=3 is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "L1Loss",
        "nn.L1Loss(True)",
        ValueError,
        (
            "L1Loss: size_average=True is a setting of old programs that reduction has replaced; name the argument, as in "
            "reduction='sum'"
        ),
    ),
    Bad(
        "L1Loss",
        "nn.L1Loss(reduction='l1')",
        ValueError,
        "L1Loss: reduction='l1' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "L1Loss",
        "nn.L1Loss(reduction=None)",
        ValueError,
        "L1Loss: reduction=None is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "SmoothL1Loss",
        "nn.SmoothL1Loss(beta=-1)",
        ValueError,
        "SmoothL1Loss: beta=-1 must not be negative",
    ),
    Bad(
        "SmoothL1Loss",
        "nn.SmoothL1Loss(reduction='x')",
        ValueError,
        "SmoothL1Loss: reduction='x' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "SmoothL1Loss",
        "nn.SmoothL1Loss(beta='1')",
        TypeError,
        "SmoothL1Loss: beta='1' must be a number, not str",
    ),
    Bad(
        "HuberLoss",
        "nn.HuberLoss(delta=0)",
        ValueError,
        "HuberLoss: delta=0 must be positive",
    ),
    Bad(
        "HuberLoss",
        "nn.HuberLoss('avg')",
        ValueError,
        "HuberLoss: reduction='avg' is unknown; use 'mean', 'sum' or 'none'",
    ),
    Bad(
        "HuberLoss",
        "nn.HuberLoss(delta=None)",
        TypeError,
        "HuberLoss: delta=None must be a number",
    ),
    Bad(
        "KLDivLoss",
        "nn.KLDivLoss(reduction='avg')",
        ValueError,
        "KLDivLoss: reduction='avg' is unknown; use 'batchmean', 'mean', 'sum' or 'none'",
    ),
    Bad(
        "KLDivLoss",
        "nn.KLDivLoss(log_target=1)",
        TypeError,
        "KLDivLoss: log_target=1 must be True or False, not int",
    ),
    Bad(
        "KLDivLoss",
        "nn.KLDivLoss('mean')",
        ValueError,
        (
            "KLDivLoss: size_average='mean' is a setting of old programs that reduction has replaced; name the argument, as "
            "in reduction='sum'"
        ),
    ),
    Bad(
        "LeakyReLU",
        "nn.LeakyReLU('0.1')",
        TypeError,
        "LeakyReLU: negative_slope='0.1' must be a number, not str",
    ),
    Bad(
        "LeakyReLU",
        "nn.LeakyReLU(None)",
        TypeError,
        "LeakyReLU: negative_slope=None must be a number",
    ),
    Bad(
        "LeakyReLU",
        "nn.LeakyReLU(float('inf'))",
        ValueError,
        "LeakyReLU: negative_slope=inf must be a finite number",
    ),
    Bad(
        "PReLU",
        "nn.PReLU(0)",
        ValueError,
        "PReLU: num_parameters=0 must be at least 1",
    ),
    Bad(
        "PReLU",
        "nn.PReLU(2.5)",
        TypeError,
        "PReLU: num_parameters=2.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "PReLU",
        "nn.PReLU(init=None)",
        TypeError,
        "PReLU: init=None must be a number",
    ),
    Bad(
        "ELU",
        "nn.ELU(None)",
        TypeError,
        "ELU: alpha=None must be a number",
    ),
    Bad(
        "ELU",
        "nn.ELU('1')",
        TypeError,
        "ELU: alpha='1' must be a number, not str",
    ),
    Bad(
        "ELU",
        "nn.ELU(float('nan'))",
        ValueError,
        "ELU: alpha=nan must be a finite number",
    ),
    Bad(
        "CELU",
        "nn.CELU(None)",
        TypeError,
        "CELU: alpha=None must be a number",
    ),
    Bad(
        "CELU",
        "nn.CELU('1')",
        TypeError,
        "CELU: alpha='1' must be a number, not str",
    ),
    Bad(
        "CELU",
        "nn.CELU(float('nan'))",
        ValueError,
        "CELU: alpha=nan must be a finite number",
    ),
    Bad(
        "GELU",
        "nn.GELU('erf')",
        ValueError,
        "GELU: approximate='erf' is unknown; use 'none' or 'tanh'",
    ),
    Bad(
        "GELU",
        "nn.GELU(None)",
        ValueError,
        "GELU: approximate=None is unknown; use 'none' or 'tanh'",
    ),
    Bad(
        "GELU",
        "nn.GELU(True)",
        ValueError,
        "GELU: approximate=True is unknown; use 'none' or 'tanh'",
    ),
    Bad(
        "Softplus",
        "nn.Softplus('1')",
        TypeError,
        "Softplus: beta='1' must be a number, not str",
    ),
    Bad(
        "Softplus",
        "nn.Softplus(None)",
        TypeError,
        "Softplus: beta=None must be a number",
    ),
    Bad(
        "Softplus",
        "nn.Softplus(threshold='20')",
        TypeError,
        "Softplus: threshold='20' must be a number, not str",
    ),
    Bad(
        "Hardtanh",
        "nn.Hardtanh(1, -1)",
        ValueError,
        "Hardtanh: min_val=1 must be less than max_val=-1",
    ),
    Bad(
        "Hardtanh",
        "nn.Hardtanh('low')",
        TypeError,
        "Hardtanh: min_val='low' must be a number, not str",
    ),
    Bad(
        "Hardtanh",
        "nn.Hardtanh(max_val=None)",
        TypeError,
        "Hardtanh: max_val=None must be a number",
    ),
    Bad(
        "Hardshrink",
        "nn.Hardshrink('1')",
        TypeError,
        "Hardshrink: lambd='1' must be a number, not str",
    ),
    Bad(
        "Hardshrink",
        "nn.Hardshrink(None)",
        TypeError,
        "Hardshrink: lambd=None must be a number",
    ),
    Bad(
        "Hardshrink",
        "nn.Hardshrink(float('nan'))",
        ValueError,
        "Hardshrink: lambd=nan must be a finite number",
    ),
    Bad(
        "Softshrink",
        "nn.Softshrink('1')",
        TypeError,
        "Softshrink: lambd='1' must be a number, not str",
    ),
    Bad(
        "Softshrink",
        "nn.Softshrink(None)",
        TypeError,
        "Softshrink: lambd=None must be a number",
    ),
    Bad(
        "Softshrink",
        "nn.Softshrink(float('inf'))",
        ValueError,
        "Softshrink: lambd=inf must be a finite number",
    ),
    Bad(
        "Threshold",
        "nn.Threshold(None, 0)",
        TypeError,
        "Threshold: threshold=None must be a number",
    ),
    Bad(
        "Threshold",
        "nn.Threshold(0, '0')",
        TypeError,
        "Threshold: value='0' must be a number, not str",
    ),
    Bad(
        "Threshold",
        "nn.Threshold(True, 0)",
        TypeError,
        "Threshold: threshold=True must be a number, not bool",
    ),
    Bad(
        "Softmax",
        "nn.Softmax('1')",
        TypeError,
        "Softmax: dim='1' must be an int, not str",
    ),
    Bad(
        "Softmax",
        "nn.Softmax(1.0)",
        TypeError,
        "Softmax: dim=1.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Softmax",
        "nn.Softmax((0, 1))",
        TypeError,
        "Softmax: dim=(0, 1) must be an int, not tuple",
    ),
    Bad(
        "softmax",
        "nn.Softmax()(x(2, 3))",
        ValueError,
        "softmax: give dim, the axis of the classes (dim=1 for scores (N, C, H, W)); input has shape (2, 3)",
    ),
    Bad(
        "Softmin",
        "nn.Softmin('1')",
        TypeError,
        "Softmin: dim='1' must be an int, not str",
    ),
    Bad(
        "Softmin",
        "nn.Softmin(1.0)",
        TypeError,
        "Softmin: dim=1.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Softmin",
        "nn.Softmin(True)",
        TypeError,
        "Softmin: dim=True must be an int, not bool",
    ),
    Bad(
        "LogSoftmax",
        "nn.LogSoftmax('1')",
        TypeError,
        "LogSoftmax: dim='1' must be an int, not str",
    ),
    Bad(
        "LogSoftmax",
        "nn.LogSoftmax(1.0)",
        TypeError,
        "LogSoftmax: dim=1.0 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "LogSoftmax",
        "nn.LogSoftmax(True)",
        TypeError,
        "LogSoftmax: dim=True must be an int, not bool",
    ),
    Bad(
        "GLU",
        "nn.GLU(None)",
        TypeError,
        "GLU: dim=None must be an int",
    ),
    Bad(
        "GLU",
        "nn.GLU('1')",
        TypeError,
        "GLU: dim='1' must be an int, not str",
    ),
    Bad(
        "GLU",
        "nn.GLU(0.5)",
        TypeError,
        "GLU: dim=0.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "Softmax2d",
        "nn.Softmax2d()(x(2, 3))",
        ValueError,
        "Softmax2d: input has shape (2, 3), but must be (N, C, H, W) or (C, H, W)",
    ),
    Bad(
        "Softmax2d",
        "nn.Softmax2d()(None)",
        TypeError,
        "Softmax2d: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "Softmax2d",
        "nn.Softmax2d()(x(1, 2, 3, 4, 5))",
        ValueError,
        "Softmax2d: input has shape (1, 2, 3, 4, 5), but must be (N, C, H, W) or (C, H, W)",
    ),
    Bad(
        "Flatten",
        "nn.Flatten('1')",
        TypeError,
        "Flatten: start_dim='1' must be an int, not str",
    ),
    Bad(
        "Flatten",
        "nn.Flatten(1, None)",
        TypeError,
        "Flatten: end_dim=None must be an int",
    ),
    Bad(
        "Flatten",
        "nn.Flatten()(None)",
        TypeError,
        "Flatten: input is None, but must be a tensor (or an array, or numbers)",
    ),
    Bad(
        "CosineSimilarity",
        "nn.CosineSimilarity('1')",
        TypeError,
        "CosineSimilarity: dim='1' must be an int, not str",
    ),
    Bad(
        "CosineSimilarity",
        "nn.CosineSimilarity(eps=-1)",
        ValueError,
        "CosineSimilarity: eps=-1 must not be negative",
    ),
    Bad(
        "CosineSimilarity",
        "nn.CosineSimilarity(1.5)",
        TypeError,
        "CosineSimilarity: dim=1.5 must be an int, not float; for whole numbers divide with //, or round with int()",
    ),
    Bad(
        "PairwiseDistance",
        "nn.PairwiseDistance('2')",
        TypeError,
        "PairwiseDistance: p='2' must be a number, not str",
    ),
    Bad(
        "PairwiseDistance",
        "nn.PairwiseDistance(keepdim=1)",
        TypeError,
        "PairwiseDistance: keepdim=1 must be True or False, not int",
    ),
    Bad(
        "PairwiseDistance",
        "nn.PairwiseDistance(eps=None)",
        TypeError,
        "PairwiseDistance: eps=None must be a number",
    ),
    Bad(
        "Sequential",
        "nn.Sequential(nn.ReLU(), F.relu)",
        TypeError,
        "Sequential: entry 1 is function, not a Module; only modules can be entries",
    ),
    Bad(
        "Sequential",
        "nn.Sequential(nn.ReLU, nn.ReLU())",
        TypeError,
        "Sequential: entry 0 is the class ReLU, not a Module; make one, ReLU(...)",
    ),
    Bad(
        "Sequential",
        "nn.Sequential(None)",
        TypeError,
        "Sequential: entry 0 is NoneType, not a Module; only modules can be entries",
    ),
    Bad(
        "ModuleList",
        "nn.ModuleList([F.relu])",
        TypeError,
        "ModuleList: entry 0 is function, not a Module; only modules can be entries",
    ),
    Bad(
        "ModuleList",
        "nn.ModuleList(3)",
        TypeError,
        "ModuleList: modules=3 must be a list of modules",
    ),
    Bad(
        "ModuleList",
        "nn.ModuleList([nn.ReLU()]).append('x')",
        TypeError,
        "ModuleList: entry 1 is str, not a Module; only modules can be entries",
    ),
    Bad(
        "ModuleDict",
        "nn.ModuleDict({'a': 1})",
        TypeError,
        "ModuleDict: entry 'a' is int, not a Module; only modules can be entries",
    ),
    Bad(
        "ModuleDict",
        "nn.ModuleDict([1, 2])",
        TypeError,
        "ModuleDict: modules=[1, 2] must be a dictionary, or pairs (name, module)",
    ),
    Bad(
        "ModuleDict",
        "nn.ModuleDict(3)",
        TypeError,
        "ModuleDict: modules=3 must be a dictionary, or pairs (name, module)",
    ),
    Bad(
        "receptive_field",
        "minivision.models.receptive_field(None)",
        TypeError,
        "receptive_field: module=None must be a minivision.nn.Module",
    ),
    Bad(
        "receptive_field",
        "minivision.models.receptive_field(nn.Linear(4, 2), 'big')",
        TypeError,
        "receptive_field: input_size='big' must be a whole shape (N, C, H, W), or an int, not str",
    ),
    Bad(
        "receptive_field",
        "minivision.models.receptive_field(nn.Conv2d(3, 4, 3), 0)",
        ValueError,
        "receptive_field: input_size=0 must be at least 1",
    ),
    Bad(
        "receptive_field",
        "minivision.models.receptive_field(nn.Conv2d(3, 4, 3), (1, 3, 8.5, 8))",
        TypeError,
        ("receptive_field: input_size[2]=8.5 must be an int, not float; for whole numbers divide with //, or round with int()"),
    ),
]
