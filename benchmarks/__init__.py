"""What Muster costs, always beside what the least possible would cost. `scripts/bench` runs it."""
