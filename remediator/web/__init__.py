"""What others reach over HTTP: webhook, API, health pages. It asks what is below through protocols, and pure rules."""
