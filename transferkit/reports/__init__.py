"""Renderings of a `Report` for people: each reads the report and nothing else."""
