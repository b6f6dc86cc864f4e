"""Tables and paragraphs for a terminal. Each function takes records and returns text."""
