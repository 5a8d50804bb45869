"""Runs on Kubeflow Pipelines: sent, scheduled, watched, and told apart from what is there."""
