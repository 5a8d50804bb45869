"""The event contract: table schemas, row encoder, checks and reference page, all derived from the .proto files."""
