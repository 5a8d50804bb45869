"""Running features of every player: one SQL definition, a snapshot to read from, and the inputs made of it."""
