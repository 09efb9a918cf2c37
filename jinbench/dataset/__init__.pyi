from .build import BuiltDataset, build_dataset, write_dataset
from .gold import read_task_gold
from .load import DatasetInfo, describe_dataset, load_configs
from .verify import VerificationReport, verify_folder, verify_loaded

__all__ = [
    "BuiltDataset",
    "DatasetInfo",
    "VerificationReport",
    "build_dataset",
    "describe_dataset",
    "load_configs",
    "read_task_gold",
    "verify_folder",
    "verify_loaded",
    "write_dataset",
]
