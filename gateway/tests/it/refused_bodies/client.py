"""Sends the same body again and again, and prints what each try comes to: a status, or an error.

client.py URL HTTP-VERSION TRIES FILE NAME:VALUE...
"""

import sys

import httpx

url, version, tries, file, *fields = sys.argv[1:]
body = open(file, "rb").read()
headers = dict(field.split(":", 1) for field in fields)
for _ in range(int(tries)):
    try:
        with httpx.Client(http1=version == "1", http2=version == "2", verify=False, timeout=30) as client:
            print(client.post(url, content=body, headers=headers).status_code, flush=True)
    except Exception as error:
        print(f"error: {error!r}", flush=True)
