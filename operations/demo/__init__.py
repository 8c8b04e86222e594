"""The demo: a lead-management application's database, and writers that keep it busy."""
