"""Models: the store of their versions, and the host that serves them, a folder's or a cluster's."""
