"""The dashboard's pages: straight scripts that read, draw and submit."""
