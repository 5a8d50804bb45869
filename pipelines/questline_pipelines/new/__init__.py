"""Skeletons of steps and pipelines for those who write their own."""
