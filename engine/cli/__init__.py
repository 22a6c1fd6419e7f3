"""The command line, one file for each group of commands; `python -m engine --help` lists them."""
