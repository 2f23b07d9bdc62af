"""The OpenAI-compatible server: the wire protocol, REST, WebRTC and the web page."""
