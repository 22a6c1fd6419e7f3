"""Processes, locks and folders: what long work stands on, whatever the work is. Importable without torch."""
