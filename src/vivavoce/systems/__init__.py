"""Whole systems, one file each: configuration and inference over shared parts."""
