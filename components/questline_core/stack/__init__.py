"""The whole platform on one machine: its processes, and the demo that shows the loop."""
