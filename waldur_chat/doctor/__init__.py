"""Finds what breaks streams between a site and its clients, for `manage.py chat_doctor`.

The doctor stands at both ends: he asks through the site's public URL (`client`), and the site's probe provider relays
what he says (`line`). So he knows when each piece was written and when it arrived. `examine` goes through the
experiments, and what they find is named in `findings`.
"""
