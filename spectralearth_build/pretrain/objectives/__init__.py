"""Objectives by name: MoCo-v2, DINO, MAE, SimCLR."""
