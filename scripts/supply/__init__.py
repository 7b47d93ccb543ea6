"""What this program is made of: pins, a bill of materials, an audit of both."""
