"""Rules that turn a tree of GoogleSQL into one that means the same in DuckDB, where sqlglot's translation does not.

A rule takes one node whose children are done already, and gives the node that stands in its place.
"""
