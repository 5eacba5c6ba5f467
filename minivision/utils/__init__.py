"""What PyTorch keeps under `torch.utils`, as far as there is a counterpart: `minivision.utils.checkpoint`."""

from minivision.utils import checkpoint

__all__ = ["checkpoint"]
