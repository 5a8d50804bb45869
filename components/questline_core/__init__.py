"""The kernel: the event contract, settings, errors, the three ports and their adapters, features, spend logic."""
