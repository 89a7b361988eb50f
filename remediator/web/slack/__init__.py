"""What people press and say in Slack: `POST /slack/interactions` and `/slack/commands`, and Socket Mode."""
