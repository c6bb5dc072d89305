"""What a model is trained on: windows with tags, replaced mentions, what teachers say."""
