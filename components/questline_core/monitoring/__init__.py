"""Watch what is served: how inputs and answers move, whether they are what training saw, and whether they came true."""
