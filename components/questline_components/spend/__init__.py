"""Steps that make and judge a spend model."""
