"""The lookup of scored players, behind the same protocols as a model."""
