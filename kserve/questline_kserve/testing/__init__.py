"""For tests: tiny model versions, serving processes on free ports, and steady traffic on them."""
