"""Profiles, stages and the graph that runs them."""
