"""A server of embeddings, started as one starts vLLM: a program that wants a folder and knows nothing of Strongroom.

strongroom exec acme/minilm@1 -- python -m examples.server --port 8080
curl --data '{"input": "the quick brown fox"}' http://127.0.0.1:8080/v1/embeddings
"""

import argparse
import json
import os
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from safetensors.numpy import load_file

from demo.bert import embed

options = argparse.ArgumentParser()
options.add_argument("--port", type=int, default=8080)
options.add_argument("--model", type=Path, default=Path(os.environ.get("STRONGROOM_MODEL", ".")))
given = options.parse_args()
weights = load_file(given.model / "model.safetensors")
config, tokenizer = ((given.model / name).read_text() for name in ("config.json", "tokenizer.json"))


class Embeddings(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sentence = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["input"]
        vector = [float(value) for value in embed(sentence, weights, config, tokenizer)]
        body = json.dumps({"object": "list", "data": [{"index": 0, "embedding": vector}]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


server = ThreadingHTTPServer(("127.0.0.1", given.port), Embeddings)
print("listening on", server.server_port, flush=True)
server.serve_forever()
