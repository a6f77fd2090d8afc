"""Pictures and videos made of a video and its findings."""
