"""What scripts/bench measures: CPU per request (cpu.py), memory (memory.py), on servers that contest.py starts."""
