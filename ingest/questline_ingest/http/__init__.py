"""What a gateway says over HTTP: to those who watch it, and to clients that cannot speak gRPC."""
