"""http_server.py FOLDER PORT_FILE LOG [CERT KEY]: files with ranges, and faults that a path's first part asks for.

One line a request in LOG: path, Range, status, bytes of the body sent, Authorization. Faults:
/plain/    no ranges          /cut/    every other reply breaks off half-way     /dead/   each reply breaks off at once
/swap/     other ETag after the first reply                                     /stall/  the first payload reply hangs
/busy/     503 twice          /down/   always 503     /deny/ 403     /range/  416 after the first reply
/endless/  a body without an end                /drip/   from the third reply on, five bytes a second
/fades/    half of the fourth reply, nothing after it
/away/     redirects to the same file   /far/ by another host's name   /loop/ redirects to itself   /lie/  206 with another range
"""
import http.server, os, re, ssl, sys, threading, time

folder, port_file, log = sys.argv[1:4]
lock, seen = threading.Lock(), {}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def note(self, status, sent):
        with lock, open(log, "a") as out:
            print(self.path, self.headers.get("Range", "-"), status, sent, self.headers.get("Authorization", "-"), file=out)
    def empty(self, status, **headers):
        self.send_response(status)
        for name, value in headers.items(): self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.end_headers()
        self.note(status, 0)
    def endless(self, data):
        self.send_header("Connection", "close")
        self.end_headers()
        sent = 0
        try:
            while sent < 1 << 30: sent += self.wfile.write(data)
        except OSError:
            pass
        self.note(206, sent)
    def drip(self, data):
        try:
            for i in range(len(data)):
                self.wfile.write(data[i:i + 1])
                self.wfile.flush()
                time.sleep(0.2)
        except OSError:
            pass
        self.note(206, 0)
    def do_GET(self):
        path = self.path.split("?")[0]
        fault, _, name = path.lstrip("/").rpartition("/")
        with lock:
            count = seen[path] = seen.get(path, 0) + 1
        if fault == "away": return self.empty(302, Location="/" + name)
        if fault == "far": return self.empty(302, Location=f"http://localhost:{self.server.server_port}/{name}")
        if fault == "loop": return self.empty(302, Location=self.path)
        if fault == "deny": return self.empty(403)
        if fault == "down" or (fault == "busy" and count <= 2): return self.empty(503)
        if fault == "range" and count > 1: return self.empty(416)
        try:
            data = open(os.path.join(folder, name), "rb").read()
        except OSError:
            return self.empty(404)
        etag = '"2"' if fault == "swap" and count > 1 else '"1"'
        wanted = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        conditional = self.headers.get("If-Range", etag) == etag
        status, total = 200, len(data)
        if wanted and conditional and fault != "plain":
            begin, last = int(wanted[1]), min(int(wanted[2]), total - 1)
            status, data = 206, data[begin:last + 1]
        self.send_response(status)
        self.send_header("ETag", etag)
        if status == 206:
            shift = 1 if fault == "lie" and count > 1 else 0
            self.send_header("Content-Range", f"bytes {begin + shift}-{last + shift}/{total + shift}")
        if fault == "endless": return self.endless(data)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if fault == "drip" and count > 2: return self.drip(data)
        cut = (fault == "cut" and count % 2 == 0) or (fault == "dead" and count > 1) or (fault == "fades" and count > 3)
        part = data[:0 if fault == "dead" or (fault == "fades" and count > 4) else len(data) // 2] if cut else data
        try:
            if fault == "stall" and count == 3:
                self.wfile.flush()
                time.sleep(4)
            self.wfile.write(part)
            self.wfile.flush()
        except OSError:
            pass
        self.note(status, len(part))
        if cut: self.close_connection = True

class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    def handle_error(self, *_): pass

server = Server(("127.0.0.1", 0), Handler)
if len(sys.argv) > 4:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(sys.argv[4], sys.argv[5])
    server.socket = context.wrap_socket(server.socket, server_side=True)
with open(port_file + ".new", "w") as out: print(server.server_port, file=out)
os.rename(port_file + ".new", port_file)
server.serve_forever()
