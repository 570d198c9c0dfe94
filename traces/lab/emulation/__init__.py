"""An arm64 host that is emulated: what it is made of, how it is booted, and what became of it."""
