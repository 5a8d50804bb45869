"""Steps that bring a judged model to where it is asked."""
