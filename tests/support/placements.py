"""What no placement may have."""


def overlapping(anchors, size):
    """Pairs of anchors whose windows overlap: what no placement may have."""
    ordered = sorted(anchors)
    found = []
    for i, a in enumerate(ordered):
        for b in ordered[i + 1 :]:
            if b[0] - a[0] >= size:
                break
            if abs(b[1] - a[1]) < size:
                found.append((a, b))
    return found
