"""What every store keeps to, tested on both engines and against a plain model."""
