"""The door for clients that send one JSON event a TCP connection."""
