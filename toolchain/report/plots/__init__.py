"""Plots of the HTML report: one kind of plot a file, all drawn on `canvas`."""
