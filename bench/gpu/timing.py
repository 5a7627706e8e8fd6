"""How the GPU benchmarks take time. Absolute times drift with the chip's clocks: compare only what was timed together."""
import random
import statistics

import torch


def round_robin(candidates, rounds, per=2):
    """Median seconds of a call of each candidate, {name: [call for each set of inputs]}: all of them in random order in
    every round; a sample is `per` calls between events, behind an untimed one of the same candidate."""
    times = {name: [] for name in candidates}
    for turn in range(rounds + 1):
        names = list(candidates)
        random.shuffle(names)
        events = []
        for name in names:
            calls = candidates[name]
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            calls[(turn + 1) % len(calls)]()
            begin.record()
            for i in range(per):
                calls[(turn + i) % len(calls)]()
            end.record()
            events.append((name, begin, end))
        torch.cuda.synchronize()
        if turn:  # the first one warms up
            for name, begin, end in events:
                times[name].append(begin.elapsed_time(end) / per / 1e3)
    return {name: statistics.median(samples) for name, samples in times.items()}


def sustained(candidates, estimates, seconds=0.12, repeats=2):
    """Mean seconds of a call when a candidate runs for `seconds` back to back: hot and throttled."""
    total = {name: 0.0 for name in candidates}
    for _ in range(repeats):
        for name, calls in candidates.items():
            count = max(4, int(seconds / estimates[name]))
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            for i in range(count):
                calls[i % len(calls)]()
            end.record()
            torch.cuda.synchronize()
            total[name] += begin.elapsed_time(end) / count / 1e3 / repeats
    return total


def in_graphs(candidates, calls_per_graph, rounds=7):
    """Median seconds of a call, without launch gaps of the host: `calls_per_graph` calls in a graph, replayed."""
    graphs = {}
    for name, calls in candidates.items():
        for call in calls:
            call()
        torch.cuda.synchronize()
        graphs[name] = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graphs[name]):
            for i in range(calls_per_graph):
                calls[i % len(calls)]()
    times = round_robin({name: [graph.replay] for name, graph in graphs.items()}, rounds, per=1)
    return {name: time / calls_per_graph for name, time in times.items()}


def copy_bandwidth(gigabytes=2):
    """Bytes a second of a device copy, read and written."""
    source, target = (torch.empty(gigabytes << 28, device="cuda") for _ in range(2))
    source.uniform_()
    time = round_robin({"copy": [lambda: target.copy_(source)]}, 7, per=3)["copy"]
    return 2 * source.nbytes / time
