"""What a model is: where it comes from, its parts and how its family differs, where it runs."""
