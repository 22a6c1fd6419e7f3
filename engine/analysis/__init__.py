"""What results say: paired, on a front, within limits, against what the machine can do. Importable without torch."""
