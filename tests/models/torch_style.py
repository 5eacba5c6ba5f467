"""Networks as one writes them for PyTorch, to be run with minivision in torch's place. Nothing here knows minivision."""

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


class ConvBlock(nn.Module):
    def __init__(self, in_ch, out_ch, mid_ch=None):
        super(ConvBlock, self).__init__()  # noqa: UP008 (much code is written so)
        mid_ch = mid_ch or out_ch
        self.body = nn.Sequential(
            nn.Conv2d(in_ch, mid_ch, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(mid_ch),
            nn.ReLU(inplace=True),
            nn.Conv2d(mid_ch, out_ch, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_ch),
            nn.ReLU(inplace=True),
        )

    def forward(self, x):
        return self.body(x)


class UpBlock(nn.Module):
    """Upsample, pad to the size of the skip (odd sizes lose a pixel on the way down), concatenate, convolve."""

    def __init__(self, in_ch, out_ch, bilinear):
        super().__init__()
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            self.conv = ConvBlock(in_ch, out_ch, in_ch // 2)
        else:
            self.up = nn.ConvTranspose2d(in_ch, in_ch // 2, kernel_size=2, stride=2)
            self.conv = ConvBlock(in_ch, out_ch)

    def forward(self, deep, skip):
        deep = self.up(deep)
        dy = skip.size()[2] - deep.size()[2]
        dx = skip.size(3) - deep.size(3)
        deep = F.pad(deep, [dx // 2, dx - dx // 2, dy // 2, dy - dy // 2])
        return self.conv(torch.cat([skip, deep], dim=1))


class PaddedUNet(nn.Module):
    """Same-padding U-Net with batch norm that takes any size."""

    def __init__(self, n_channels=3, n_classes=4, base=4, bilinear=False):
        super().__init__()
        f = 2 if bilinear else 1
        self.inc = ConvBlock(n_channels, base)
        self.downs = nn.ModuleList(
            [nn.Sequential(nn.MaxPool2d(2), ConvBlock(a, b)) for a, b in ((base, 2 * base), (2 * base, 4 * base // f))]
        )
        self.ups = nn.ModuleList([UpBlock(4 * base, 2 * base // f, bilinear), UpBlock(2 * base, base, bilinear)])
        self.outc = nn.Conv2d(base, n_classes, kernel_size=1)

    def forward(self, x):
        skips = [self.inc(x)]
        for down in self.downs:
            skips.append(down(skips[-1]))
        x = skips.pop()
        for up in self.ups:
            x = up(x, skips.pop())
        return self.outc(x)


def upsampling_weight(in_channels, out_channels, kernel_size):
    """A bilinear kernel on the diagonal, made with NumPy."""
    factor = (kernel_size + 1) // 2
    center = factor - 1 if kernel_size % 2 == 1 else factor - 0.5
    og = np.ogrid[:kernel_size, :kernel_size]
    filt = (1 - abs(og[0] - center) / factor) * (1 - abs(og[1] - center) / factor)
    weight = np.zeros((in_channels, out_channels, kernel_size, kernel_size), dtype=np.float64)
    weight[range(in_channels), range(out_channels), :, :] = filt
    return torch.from_numpy(weight).float()


class SkipFCN(nn.Module):
    """A small FCN with one skip: large padding, ceil_mode pooling, cropping, frozen-style initialisation through .data."""

    def __init__(self, n_class=4):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 6, 3, padding=20)
        self.relu1 = nn.ReLU(inplace=True)
        self.pool1 = nn.MaxPool2d(2, stride=2, ceil_mode=True)
        self.conv2 = nn.Conv2d(6, 8, 3, padding=1, dilation=1)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv3 = nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=2)
        self.drop = nn.Dropout2d()
        self.fc = nn.Conv2d(8, 10, 5)
        self.score_fr = nn.Conv2d(10, n_class, 1)
        self.score_pool1 = nn.Conv2d(6, n_class, 1)
        self.upscore2 = nn.ConvTranspose2d(n_class, n_class, 4, stride=2, bias=False)
        self.upscore = nn.ConvTranspose2d(n_class, n_class, 4, stride=2, bias=False)
        self._initialize_weights()

    def _initialize_weights(self):
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                m.weight.data.normal_(0, 0.1)
                if m.bias is not None:
                    m.bias.data.zero_()
            if isinstance(m, nn.ConvTranspose2d):
                assert m.kernel_size[0] == m.kernel_size[1]
                m.weight.data.copy_(upsampling_weight(m.in_channels, m.out_channels, m.kernel_size[0]))

    def forward(self, x):
        h = self.relu1(self.conv1(x))
        pool1 = self.pool1(h)
        h = F.relu(self.conv2(pool1), inplace=True)
        h = self.pool2(h)
        h = self.drop(torch.relu(self.conv3(h)))
        h = self.score_fr(F.leaky_relu(self.fc(h), 0.1))
        upscore2 = self.upscore2(h)
        h = self.score_pool1(pool1 * 0.01)
        h = h[:, :, 3 : 3 + upscore2.size()[2], 3 : 3 + upscore2.size()[3]]
        h = upscore2 + h
        h = self.upscore(h)
        return h[:, :, 9 : 9 + x.size()[2], 9 : 9 + x.size()[3]].contiguous()


class IndexSegNet(nn.Module):
    """Encoder-decoder that carries pooling indices, with a gate made of sigmoid, mean, view and expand."""

    def __init__(self, n_class=4, width=6):
        super().__init__()
        self.enc1 = nn.Conv2d(3, width, 3, padding=1)
        self.enc2 = nn.Conv2d(width, width, 3, padding=1)
        self.gate = nn.Linear(width, width)
        self.norm = nn.GroupNorm(3, width)
        self.dec2 = nn.Conv2d(width, width, 3, padding=1)
        self.dec1 = nn.Conv2d(width, n_class, 3, padding=1)
        self.pool = nn.MaxPool2d(2, 2, return_indices=True)
        self.unpool = nn.MaxUnpool2d(2, 2)
        for m in self.modules():
            if isinstance(m, (nn.Conv2d, nn.Linear)):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
                nn.init.constant_(m.bias, 0)

    def forward(self, x):
        size1 = x.size()
        x, idx1 = self.pool(F.relu(self.enc1(x)))
        size2 = x.size()
        x, idx2 = self.pool(F.relu(self.enc2(x)))
        b, c = x.shape[:2]
        gate = torch.sigmoid(self.gate(x.mean(dim=[2, 3])))
        x = self.norm(x) * gate.view(b, c, 1, 1).expand_as(x)
        x = self.unpool(x, idx2, output_size=size2)
        x = F.relu(self.dec2(x))
        x = self.unpool(x, idx1, output_size=size1)
        x = self.dec1(x)
        return F.log_softmax(x, dim=1)
