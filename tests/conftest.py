"""Settings of the whole suite."""

from hypothesis import settings

# Kernels compile on their first call, which no deadline should judge.
settings.register_profile("default", deadline=None)
settings.load_profile("default")
