"""Transfer: sealed bytes, between this machine and wherever they rest.

- `stores`            which store that is, for somebody who did not say
- `gateway_store`     reading, by URLs that a gateway gives; `gateway_uploads` writing
- `gateway_urls`      what is said about URLs, and answered
- `ranges`, `puts`    bytes from a URL, bytes to a URL: resumed, or sent again, when they break off
- `transfers`         one HTTP request to wherever a URL leads
"""
