"""Rotary positions: the angle of pair i at position p is p * inverse_frequencies[i]."""

import numpy as np


def parameters(config):
    """The newer `rope_parameters`, or the older `rope_theta` and `rope_scaling`, as one table."""
    if config.get("rope_parameters"):
        return config["rope_parameters"]
    scaling = config.get("rope_scaling") or {}
    kind = scaling.get("rope_type", scaling.get("type", "default"))
    return {**scaling, "rope_type": kind, "rope_theta": config.get("rope_theta", 10000.0)}


def inverse_frequencies(config, head_size):
    """[head_size / 2], float64, for the rope types default, linear and llama3."""
    p = parameters(config)
    inverse = float(p.get("rope_theta", 10000.0)) ** (-np.arange(0, head_size, 2) / head_size)
    kind = p.get("rope_type", "default")
    if kind == "default":
        return inverse
    if kind == "linear":
        return inverse / p["factor"]
    if kind != "llama3":
        raise ValueError(f"rope type {kind} is not supported")
    # Llama 3.1: long waves are slowed by the factor, short ones stay, those between are blended.
    original, low, high = (p[k] for k in ("original_max_position_embeddings", "low_freq_factor", "high_freq_factor"))
    turns = original * inverse / (2 * np.pi)
    blend = np.clip((turns - low) / (high - low), 0, 1)
    return inverse * (blend + (1 - blend) / p["factor"])
