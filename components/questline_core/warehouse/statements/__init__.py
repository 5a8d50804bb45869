"""What a text of GoogleSQL does beside asking: scripts, tables, changes of rows, and models."""
