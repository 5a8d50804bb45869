"""Models answer: the serving process, on the laptop and in the pod."""
