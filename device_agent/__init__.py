"""What runs on the device: standard library only, relative imports only, Python 3.9 and later."""
