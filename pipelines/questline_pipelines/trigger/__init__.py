"""What starts a run by itself: pushes from Google Cloud, and what the warehouse itself shows."""
