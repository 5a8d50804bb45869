"""The broker: its port and its embedded adapter."""
