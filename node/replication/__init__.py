"""Writes on their way to replicas: the stream, and those who read it."""
