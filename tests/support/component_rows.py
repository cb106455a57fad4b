"""A component's plan as plain rows, for tests that look at one row at a time."""

from types import SimpleNamespace

from spectralearth_build.plan.assemble import columns


def as_rows(plan):
    """Locations and patches as lists of dicts, patches with their full names; the rest as it is."""
    locations, patches = (_rows(columns([(0, plan)], name)) for name in ("locations", "patches"))
    return SimpleNamespace(locations=locations, patches=patches, tuples=plan.tuples, overlaps=plan.overlaps)


def _rows(columns):
    values = {name: each.tolist() for name, each in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]
