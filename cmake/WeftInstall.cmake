# Install rules; see docs/ARCHITECTURE.md.
