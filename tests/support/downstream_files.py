"""Configurations of the downstream benchmark, to be filled in with ``dataset``."""

RIDGE = """\
dataset = "{dataset}"
[evaluate]
device = "cpu"
[[grid]]
protocols = ["frozen"]
seeds = [0]
[[encoders]]
name = "R"
network = "resnet18"
[[tasks]]
name = "ridge"
head = "ridge"
labels = "corine"
task = "single"
size = 16
"""
"""One cell, which is quick."""

RIDGE_AND_SLOW = (
    RIDGE
    + """\
[[tasks]]
name = "slow"
labels = "corine"
task = "single"
size = 16
epochs = 100000
[run]
workers = 1
threads = 1
dashboard = ""
"""
)
"""That cell, and one that does not end by itself, on one worker."""
