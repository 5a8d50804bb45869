"""Rejects: what broke the event contract is listed, explained, mended and sent again."""
