"""Steps become runs: the pipelines, compiled for Kubeflow or run on this machine."""
