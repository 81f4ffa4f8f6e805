"""Pretrained feature extractors: their table, their graphs, their weights and their cost."""
