"""The step that makes days of events anew."""
