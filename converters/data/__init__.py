"""Representative and evaluation data, from files that people already have.

    load_dataset(source) ── loader by suffix or kind ──> raw arrays ── preprocessing, checks ──> Dataset

Representative data calibrates the quantizer; evaluation data measures what quantization cost. Both are
read the same way, checked value by value, and held in memory as one array an input.
"""
