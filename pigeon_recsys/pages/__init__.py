"""What all pages for people share: drawings, words for numbers, macros and their style."""
