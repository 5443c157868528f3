"""A photo that was blurred by a kernel that comes with it."""

import torch.nn.functional as F
from torch import Tensor

from zeroair_pl.degradations import Degradation, Denoise, Side


class KnownBlur(Degradation):
    """y = h * x + n, with the nearest values beyond the border. Its proximal step is the default one."""

    def initialize(self, y: Tensor, side: Side, denoise: Denoise) -> None:
        super().initialize(y, side, denoise)
        self.register_buffer("h", side["kernel"].flip(0, 1)[None, None].repeat(3, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        h = self.get_buffer("h")
        down, across = h.shape[-2] // 2, h.shape[-1] // 2
        return F.conv2d(F.pad(x, (across, across, down, down), mode="replicate"), h, groups=3)
