"""Datasets, transforms and loaders. Floor 4: knows `autograd` only."""

from minivision.data import transforms
from minivision.data.cells import TouchingCells
from minivision.data.datasets import Dataset, Subset, TensorDataset, random_split
from minivision.data.files import atomic_write, make_folder
from minivision.data.images import list_images, read_image, read_mask, save_image, save_mask, voc_palette
from minivision.data.loader import DataLoader, check_finite, default_collate
from minivision.data.scene import Scene, boxes_of, instance_map
from minivision.data.shapes_world import DIFFICULTIES, ShapesWorld
from minivision.data.transforms import (
    CenterCrop,
    Compose,
    ElasticDeformation,
    Normalize,
    Pad,
    RandomCrop,
    RandomHorizontalFlip,
    RandomVerticalFlip,
    Resize,
)
from minivision.data.voc import VOC_CLASSES, SceneSegmentation, VOCSegmentation
from minivision.data.voc_writer import write_voc
from minivision.data.weight_map import unet_weight_map

__all__ = [
    "DIFFICULTIES",
    "VOC_CLASSES",
    "CenterCrop",
    "Compose",
    "DataLoader",
    "Dataset",
    "ElasticDeformation",
    "Normalize",
    "Pad",
    "RandomCrop",
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    "Resize",
    "Scene",
    "SceneSegmentation",
    "ShapesWorld",
    "Subset",
    "TensorDataset",
    "TouchingCells",
    "VOCSegmentation",
    "atomic_write",
    "boxes_of",
    "check_finite",
    "default_collate",
    "instance_map",
    "list_images",
    "make_folder",
    "random_split",
    "read_image",
    "read_mask",
    "save_image",
    "save_mask",
    "transforms",
    "unet_weight_map",
    "voc_palette",
    "write_voc",
]
