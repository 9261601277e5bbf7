"""Reads and writes `.tflite` files: the only flatbuffer code of edgepack."""
