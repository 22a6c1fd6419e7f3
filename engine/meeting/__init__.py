"""What a room decides on: terms, costs, a recommendation, and all of it as one file. Importable without torch."""
