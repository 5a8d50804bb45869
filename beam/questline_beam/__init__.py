"""Events become rows: the Beam transforms, and the driver that runs them over the spool."""
