"""Kernels on torch's tensors: launch.py in torch's context and on its current stream."""
import torch

import launch


def load(directory):
    """The kernels of a directory, in the order of the requests."""
    torch.cuda.init()
    torch.zeros(1, device="cuda")  # makes torch's context the current one
    return launch.load(directory, stream=lambda: torch.cuda.current_stream().cuda_stream)
