"""Figures as matplotlib objects: a module for each family of them, and `style` for all."""
