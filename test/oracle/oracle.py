#!/usr/bin/env python3
"""The oracle on the command line, with the flags of `rshard run`: prints {"tokens": [...]}.

usage: oracle.py DIRECTORY --tokens 1,2,3 [--max-new-tokens N] [--logits OUT.npy] [--dtype float32]

--logits (or --hidden, for a model without an LM head) writes the output of every position.
"""

import argparse
import json

import numpy as np

from model import load


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("directory")
    parser.add_argument("--tokens", required=True, type=lambda text: [int(t) for t in text.split(",")])
    parser.add_argument("--max-new-tokens", type=int, default=0)
    parser.add_argument("--logits", "--hidden", dest="output")
    parser.add_argument("--dtype", choices=("float32", "float64"), default="float64")
    a = parser.parse_args()
    model = load(a.directory, np.dtype(a.dtype))
    tokens = model.greedy(a.tokens, a.max_new_tokens) if a.max_new_tokens else a.tokens
    if a.output:
        model.restart()
        np.save(a.output, model.step(tokens)[0].astype(np.float32))
    print(json.dumps({"tokens": tokens}))


if __name__ == "__main__":
    main()
