"""What an emulated CPU did, and how well an analysis knows it."""
