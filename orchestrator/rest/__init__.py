"""The REST foundation that designer and monitor share: who asks, what they may, one error form."""
