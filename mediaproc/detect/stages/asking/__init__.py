"""Models and people who are asked about what is uncertain."""
