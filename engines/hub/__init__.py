"""The Hugging Face Hub: search, preview, download. What it sends is untrusted input.

`huggingface_hub` is imported inside functions only: it is not needed for the first frame of the app.
"""
