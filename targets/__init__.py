"""What a device is: facts as data. Imports nothing of edgepack."""
