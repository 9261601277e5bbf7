"""From float to the precision that is deployed, and the proof of what that costs.

    FloatModel ── calibrate ──> Calibration ─┐
    Recipe ──────────────────────────────────┴─ quantize ──> QuantizedModel
    QuantizedModel ── verify ──> Verification ── check_gate

`search_precision` walks that path several times for the precision "auto".
"""
