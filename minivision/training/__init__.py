"""Training: the loop, evaluation, checkpoints, progress. Floor 5."""

from minivision.training.checkpoint import Checkpoint, load_checkpoint, load_model, load_weights, save_checkpoint, save_weights
from minivision.training.diagnosis import NonFiniteLossError
from minivision.training.evaluation import evaluate, evaluation_mode
from minivision.training.inference import ToLegalSize, segment
from minivision.training.progress import Progress
from minivision.training.state import History
from minivision.training.tensor_file import CheckpointError
from minivision.training.trainer import Trainer, fit

__all__ = [
    "Checkpoint",
    "CheckpointError",
    "History",
    "NonFiniteLossError",
    "Progress",
    "ToLegalSize",
    "Trainer",
    "evaluate",
    "evaluation_mode",
    "fit",
    "load_checkpoint",
    "load_model",
    "load_weights",
    "save_checkpoint",
    "save_weights",
    "segment",
]
