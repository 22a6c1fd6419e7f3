"""What a trial leaves: its row, texts and profiles, as the store keeps them and analysis reads them."""
