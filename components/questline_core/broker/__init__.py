"""The broker: its port, and its adapters: a spool here, Pub/Sub in the cloud."""
