"""What a node tells about itself as a whole: the catalogue of all figures, and those that are of no single part."""
