"""Events come in: the gateway that game clients call, their Python client, import and simulation of events."""
