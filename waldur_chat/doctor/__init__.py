"""Finds what breaks streams between a site and its clients, for `manage.py chat_doctor`.

The doctor controls both ends of a probe: it sends the request to the site's public URL (`http_client`), and tells the
site's probe provider what to answer (`control_channel`). So it knows when each piece was written and when it arrived.
`examine` runs the experiments; `findings` has the known faults.
"""
