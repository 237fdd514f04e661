"""Trained once more, robust against wrong labels (Deng et al., 2022)."""
