"""Stages: what a profile is made of."""
