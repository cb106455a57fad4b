"""Judging encoders by labels: metrics, heads, protocols, label fractions, one evaluation as a function.

Needs torch, as `pretrain` does, and is imported only when one evaluates.
"""
