"""Keys on their way to another server: what MIGRATE asks for."""
