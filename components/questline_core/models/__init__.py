"""Models: the folder of one version, the host that serves them, and its embedded adapter."""
