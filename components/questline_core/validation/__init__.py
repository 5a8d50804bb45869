"""Judge data before a model learns from it."""
