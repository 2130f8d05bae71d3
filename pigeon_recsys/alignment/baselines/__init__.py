"""Baselines on the backbone that Pigeon sits on; `prompted.py` says what they share.

plain_backbone.py     the backbone without Pigeon's modules: history and words as its prompt
pmg.py                keywords and soft preference embeddings, trained on a dataset
image_prompt.py       an IP-Adapter-style image prompt, trained on a dataset
textual_inversion.py  a word learned for each user
dreambooth.py         an adapter learned for each user, the prior preserved
"""

PMG, IP_ADAPTER = "pmg", "ip-adapter"
TRAINED = (PMG, IP_ADAPTER)  # those that learn from a dataset before they meet a user
