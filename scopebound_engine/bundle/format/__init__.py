"""What a bundle is made of, and how it is written: its files, its manifest, its archive."""
