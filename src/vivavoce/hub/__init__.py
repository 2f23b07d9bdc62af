"""Other people's weights: which are known, how they are fetched and checked, how they are held by our own parts.

Nothing is fetched without being asked to, nothing that was fetched is executed, and this is the only package that may
import the libraries of the Hugging Face hub.
"""
