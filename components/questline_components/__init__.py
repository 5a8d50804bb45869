"""The pipeline steps: each a thin shell over the kernel."""
