"""A hub of models on this machine, as far as huggingface_hub talks to it.

Repositories, large files (as hubs without Xet take them), commits, and the way back; in memory.
"""

import base64
import hashlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TOKEN = "hf_loopback_canary"
OWNER = "somebody"
LARGE = 1_000_000  # bytes; files from here on are sent apart, by their digest


class LoopbackHub(ThreadingHTTPServer):
    """`repositories`: name → {"private", "files"}; `requests`: what was asked for, in order."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.repositories, self.large, self.requests = {}, {}, []
        self.loses = None  # a file that a commit leaves out
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_HEAD(self):
        self._answer()

    do_GET = do_POST = do_PUT = do_HEAD

    def _answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = self.path.partition("?")[0]
        self.server.requests.append((self.command, path))
        if path.startswith("/large/"):  # its address is the right to use it
            self.server.large[path.removeprefix("/large/")] = body
            return self._send(200, b"")
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._refuse(401, "Invalid username or password.")
        return self._route(path, body)

    def _route(self, path, body):
        if path == "/api/validate-yaml":
            whole = json.loads(body)["content"].startswith("---\n")
            wrong = {"errors": [{"message": "no metadata"}]}
            return self._send_json(200 if whole else 400, {} if whole else wrong)
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path.endswith("/info/lfs/objects/batch"):
            return self._batch(json.loads(body))
        if "/resolve/" in path:
            repository, _, rest = path[1:].partition("/resolve/")
            return self._file(repository, rest.partition("/")[2])
        _, _, _, owner, name, *rest = path.split("/")
        repository = f"{owner}/{name}"
        if repository not in self.server.repositories:
            return self._refuse(404, "Repository not found")
        if rest and rest[0] == "preupload":
            return self._modes(json.loads(body)["files"])
        if rest and rest[0] == "commit":
            return self._commit(repository, [json.loads(line) for line in body.splitlines()])
        if rest and rest[0] == "tree":
            return self._list(repository)
        return self._describe(repository)

    def _create(self, wanted):
        if wanted["organization"] != OWNER:
            return self._refuse(403, "You don't have the rights to create a model there")
        repository = f"{OWNER}/{wanted['name']}"
        if repository in self.server.repositories:
            there = {"error": "You already created it", "url": f"{self.server.url}/{repository}"}
            return self._send_json(409, there)
        private = wanted.get("visibility") == "private" or bool(wanted.get("private"))
        self.server.repositories[repository] = {"private": private, "files": {}}
        return self._send_json(200, {"url": f"{self.server.url}/{repository}"})

    def _modes(self, files):
        answers = [
            {
                "path": file["path"],
                "uploadMode": "lfs" if file["size"] >= LARGE else "regular",
                "shouldIgnore": False,
            }
            for file in files
        ]
        self._send_json(200, {"files": answers})

    def _batch(self, wanted):
        objects = [
            {**one, "actions": {"upload": {"href": f"{self.server.url}/large/{one['oid']}"}}}
            for one in wanted["objects"]
        ]
        self._send_json(200, {"transfer": "basic", "objects": objects})

    def _commit(self, repository, lines):
        files = self.server.repositories[repository]["files"]
        for line in lines:
            value = line["value"]
            if line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                files[value["path"]] = self.server.large[value["oid"]]
        files.pop(self.server.loses, None)
        oid = _oid(files)
        answer = {"commitUrl": f"{self.server.url}/{repository}/commit/{oid}", "commitOid": oid}
        self._send_json(200, {"success": True, **answer})

    def _describe(self, repository):
        found = self.server.repositories[repository]
        siblings = [
            {"rfilename": name, "size": len(content)} for name, content in found["files"].items()
        ]
        shown = {"id": repository, "sha": _oid(found["files"]), "private": found["private"]}
        self._send_json(200, {**shown, "tags": [], "siblings": siblings})

    def _list(self, repository):
        files = self.server.repositories[repository]["files"]
        listed = [
            {"type": "file", "path": name, "size": len(content), "oid": _digest(content)}
            for name, content in files.items()
        ]
        self._send_json(200, listed)

    def _file(self, repository, name):
        files = self.server.repositories[repository]["files"]
        if name not in files:
            return self._refuse(404, "Entry not found", **{"X-Error-Code": "EntryNotFound"})
        etag = _digest(files[name])
        return self._send(200, files[name], **{"ETag": f'"{etag}"', "X-Repo-Commit": _oid(files)})

    def _refuse(self, status, message, **headers):
        self._send_json(status, {"error": message}, **headers)

    def _send_json(self, status, value, **headers):
        self._send(
            status, json.dumps(value).encode(), **{"Content-Type": "application/json"} | headers
        )

    def _send(self, status, content, **headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


def _digest(content):
    return hashlib.sha256(content).hexdigest()


def _oid(files):
    digest = hashlib.sha1(usedforsecurity=False)
    for name, content in sorted(files.items()):
        digest.update(name.encode() + content)
    return digest.hexdigest()
