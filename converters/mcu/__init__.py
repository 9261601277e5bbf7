"""A `.tflite` compiled ahead of time into plain C: no interpreter, no flatbuffer, no allocation."""
