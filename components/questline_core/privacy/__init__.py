"""Erasure: a player is removed from every place, stays removed, and a signed record says what was removed where."""
