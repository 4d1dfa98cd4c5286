"""What embeds."""
