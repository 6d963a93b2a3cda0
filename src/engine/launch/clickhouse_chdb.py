"""ClickHouse as a library (chDB) behind the part of its HTTP interface that clients need.

A process has one session, and so one statement at a time, with the settings of the last one: those
that a request brings are set before it, and those that it no longer brings are set back. Results
are complete before the first byte is sent, as with `wait_end_of_query`, so that an error always has
its status. It listens on the loopback interface alone, unless told otherwise, and answers nobody who
does not present the token, which it makes and reports unless it is given one.
"""

import gzip
import hmac
import os
import re
import secrets
import threading
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

USER = "default"

# Parameters of a request that are no settings.
NO_SETTINGS = {
    "buffer_size", "close_session", "compress", "database", "decompress", "default_format",
    "enable_http_compression", "password", "query", "query_id", "quota_key", "role",
    "session_check", "session_id", "session_timeout", "stacktrace", "user", "wait_end_of_query",
}

AUTHENTICATION_FAILED = 516
CANNOT_DECOMPRESS = 271

# As the server maps its codes; all others are 500.
STATUS = {
    **dict.fromkeys([497, AUTHENTICATION_FAILED], 403),
    **dict.fromkeys([16, 46, 47, 50, 60, 73, 81, 115], 404),
    **dict.fromkeys([6, 26, 27, 38, 41, 42, 43, 53, 62, 70, 117, 386, 394, CANNOT_DECOMPRESS], 400),
    48: 501,
}

INSERT = re.compile(r"\s*INSERT\s+INTO\b", re.IGNORECASE)
FORMAT = re.compile(r"\s+FORMAT\s+(\w+)\s*;?\s*$", re.IGNORECASE)
CODE = re.compile(r"Code: (\d+)")


class Refused(Exception):
    """An error with ClickHouse's code for it."""

    def __init__(self, code, message):
        super().__init__(f"Code: {code}. DB::Exception: {message}")


def prepare():
    from chdb import session

    session.Session().query("SELECT 1")


def serve(folder, report, host="127.0.0.1", port=0, token=None):
    from chdb import session

    token = token or secrets.token_hex(32)
    database = Database(session.Session(os.path.join(folder, "data")))
    server = Server((host, port), type("Bound", (Handler,), {"database": database, "token": token}))
    report(server.server_address[1], token)
    server.serve_forever()


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


class Database:
    """The session, one request at a time."""

    def __init__(self, session):
        self.session = session
        self.lock = threading.Lock()
        self.settings = {}
        self.current = None

    def run(self, url, query, data):
        settings = {
            name: value
            for name, value in url.items()
            if name not in NO_SETTINGS and not name.startswith("param_")
        }
        parameters = {name[6:]: value for name, value in url.items() if name.startswith("param_")}
        format = url.get("default_format", "TabSeparated")
        with self.lock:
            self.use(url.get("database", "default"))
            self.set(settings)
            if data is not None:
                inner = FORMAT.search(query)
                if inner:
                    query, format = query[: inner.start()], inner[1]
                with self.session.send_insert(query, format) as insert:
                    insert.append(data)
                    insert.finish()
                return b"", format
            result = self.session.query(query, format, params=parameters or None)
            return (result.bytes() if result is not None else b""), format

    def use(self, database):
        if database != self.current:
            self.session.query(f"USE {quoted(database, chr(34))}")
            self.current = database

    def set(self, settings):
        if settings == self.settings:
            return
        values = {name: "DEFAULT" for name in self.settings if name not in settings}
        values.update((name, quoted(value)) for name, value in settings.items())
        # Whatever fails half-way is set again by the next request.
        known, self.settings = self.settings, None
        for name, value in values.items():
            if not re.fullmatch(r"\w+", name):
                self.settings = known
                raise Refused(115, f"Setting {name} is neither a builtin setting nor a custom one")
            try:
                self.session.query(f"SET {name} = {value}")
            except Exception:
                self.settings = {**known, **settings}
                self.settings.pop(name, None)
                raise
        self.settings = settings


def quoted(text, quote="'"):
    text = text.replace("\\", "\\\\").replace(quote, "\\" + quote).replace("\0", "\\0")
    return quote + text + quote


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    # A client that is gone must not keep its thread.
    timeout = 600

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        try:
            body = self.body()
            path, arguments = self.target()
            if path == "/ping":
                return self.send(200, b"Ok.\n", {})
            self.authenticate()
            body, fields = self.parts(body)
            arguments.update(fields)
            query, data = self.statement(arguments, body)
            found, format = self.database.run(arguments, query, data)
            headers = {"X-ClickHouse-Format": format}
            accepts = self.headers.get("Accept-Encoding", "")
            if arguments.get("enable_http_compression") == "1" and "gzip" in accepts:
                found, headers["Content-Encoding"] = gzip.compress(found, 1), "gzip"
            self.send(200, found, headers)
        except ConnectionError:
            self.close_connection = True
        except Exception as error:
            message = str(error)
            code = int(next(iter(CODE.findall(message)), 1001))
            headers = {"X-ClickHouse-Exception-Code": str(code)}
            self.send(STATUS.get(code, 500), message.encode() + b"\n", headers)

    def target(self):
        url = urlsplit(self.path)
        return url.path, dict(parse_qsl(url.query, keep_blank_values=True))

    def authenticate(self):
        user = self.headers.get("X-ClickHouse-User", "")
        key = self.headers.get("X-ClickHouse-Key", "")
        same = hmac.compare_digest(key.encode(), self.token.encode())
        if user != USER or not same:
            raise Refused(AUTHENTICATION_FAILED, f"{user}: Authentication failed")

    def body(self):
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            chunks = []
            while size := int(self.rfile.readline().split(b";")[0], 16):
                chunks.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            body = b"".join(chunks)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        return body

    def parts(self, body):
        """A form's fields, among them the query when it has parameters."""
        kind = self.headers.get("Content-Type", "")
        if not kind.startswith("multipart/form-data"):
            return body, {}
        form = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        fields = {
            part.get_param("name", header="Content-Disposition"): part.get_payload(decode=True)
            for part in form.get_payload()
        }
        return b"", {name: value.decode() for name, value in fields.items()}

    def statement(self, arguments, body):
        """The statement, and the data for it that it does not hold itself."""
        query = arguments.get("query", "")
        if INSERT.match(query) and FORMAT.search(query):
            if arguments.get("decompress") == "1":
                body = decompressed(body)
            return query, body
        return "\n".join(part for part in [query, body.decode()] if part), None

    def send(self, status, body, headers):
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(body)))
        # One segment for both.
        self._headers_buffer.append(b"\r\n" + body)
        self.flush_headers()

    def log_message(self, *_):
        pass


def decompressed(data):
    """ClickHouse's own compressed blocks: a checksum, a method, both sizes, the bytes."""
    blocks, at = [], 0
    while at < len(data):
        method = data[at + 16]
        packed = int.from_bytes(data[at + 17 : at + 21], "little")
        size = int.from_bytes(data[at + 21 : at + 25], "little")
        block = data[at + 25 : at + 16 + packed]
        if packed < 9 or len(block) != packed - 9 or method not in (0x02, 0x82):
            raise Refused(CANNOT_DECOMPRESS, "a block is neither LZ4 nor plain, or ends too soon")
        blocks.append(block if method == 0x02 else lz4(block))
        if len(blocks[-1]) != size:
            raise Refused(CANNOT_DECOMPRESS, "a block has another size than it says")
        at += 16 + packed
    return b"".join(blocks)


def lz4(block):
    """An LZ4 block: literals, then a match further back, and again."""
    out, at = bytearray(), 0

    def length(short):
        nonlocal at
        more = short == 15
        while more:
            short += block[at]
            more = block[at] == 255
            at += 1
        return short

    while at < len(block):
        token = block[at]
        at += 1
        literals = length(token >> 4)
        out += block[at : at + literals]
        at += literals
        if at >= len(block):
            break
        offset = int.from_bytes(block[at : at + 2], "little")
        at += 2
        match = length(token & 15) + 4
        if not 0 < offset <= len(out):
            raise Refused(CANNOT_DECOMPRESS, "a match lies before the beginning")
        for _ in range(match):
            out.append(out[-offset])
    return bytes(out)
