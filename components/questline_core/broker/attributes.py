"""Attributes of a message that the broker sets when it delivers."""

MESSAGE_ID = "message_id"
"""Names one published message: the same on every delivery of it, and of no other message of any broker."""
