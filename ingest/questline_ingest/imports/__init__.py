"""Bring events from files: GA4 exports as they are, other logs by a mapping file."""
