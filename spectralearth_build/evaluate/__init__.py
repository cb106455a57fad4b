"""Evaluation of encoders on labels: metrics, heads, protocols, label fractions, and one evaluation as a function.

It needs torch, as `pretrain` does, and is imported only for evaluation.
"""
