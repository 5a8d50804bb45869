"""Known traps of a laptop and of a cluster, each with its fix."""
