"""Whole systems, a file for each paper, and `mini`, the default model: configuration, and inference over parts."""
