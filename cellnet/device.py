"""The explicit choice of device, threads and determinism."""

from __future__ import annotations

import os

import torch

from cellnet.errors import DeviceError
from cellnet.settings import Settings


def open_device(settings: Settings) -> torch.device:
    """Return the device that the settings name, with threads and determinism set up.

    Raises:
        DeviceError: if the device is not on this machine; nothing else is used in its place.
    """
    device = torch.device(settings.device.device)
    if device.type == "cuda":
        if not torch.cuda.is_available():
            raise DeviceError(
                f"device {device} was asked for, but this PyTorch ({torch.__version__}) sees none: "
                "choose --device cpu, or install a CUDA build of PyTorch and a driver"
            )
        count = torch.cuda.device_count()
        if device.index is not None and device.index >= count:
            raise DeviceError(
                f"device {device} was asked for, but this machine has cuda:0 to cuda:{count - 1}"
            )
    if settings.device.threads:
        torch.set_num_threads(settings.device.threads)
    fixed_workspace = os.environ.get("CUBLAS_WORKSPACE_CONFIG") in (":4096:8", ":16:8")
    if settings.init.reproducible and device.type == "cuda" and not fixed_workspace:
        raise DeviceError(
            "init.reproducible on CUDA needs the environment variable CUBLAS_WORKSPACE_CONFIG=:4096:8"
        )
    torch.use_deterministic_algorithms(settings.init.reproducible)
    return device


def describe_device(device: torch.device) -> str:
    """Return the device and, on CUDA, its name."""
    if device.type == "cuda":
        return f"{device} ({torch.cuda.get_device_name(device)})"
    return f"{device} ({torch.get_num_threads()} threads)"
