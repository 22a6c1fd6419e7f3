"""What the worker and its children do with a store: trials, exports, texts."""
