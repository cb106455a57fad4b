"""Nearest neighbours by loops."""

import numpy as np


def nearest_by_loops(known, labels, asked, truth, k, temperature) -> float:
    """Accuracy of votes weighted by exp(cosine / temperature)."""
    right = 0
    for x, y in zip(asked, truth, strict=True):
        cosines = [float(x @ o / np.linalg.norm(x) / np.linalg.norm(o)) for o in known]
        best = sorted(range(len(known)), key=lambda i: -cosines[i])[:k]
        votes: dict[int, float] = {}
        for i in best:
            votes[int(labels[i])] = votes.get(int(labels[i]), 0.0) + np.exp(cosines[i] / temperature)
        right += max(votes, key=votes.get) == y
    return right / len(asked)
