"""A user's model file, of whatever framework, becomes one `.tflite` with a fixed batch."""
