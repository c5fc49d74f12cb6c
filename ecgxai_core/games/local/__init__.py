"""The exact engine: games of networks that are local until they pool over time."""
