"""A headless Chromium over its debugging pipe (standard library only): pages in, pictures and what stands where out."""

import base64, fcntl, itertools, json, os, select, shutil, subprocess, tempfile, time

FLAGS = (
    "--headless=new --no-sandbox --disable-gpu --hide-scrollbars --mute-audio --no-first-run --disable-extensions --disable-dev-shm-usage "
    "--allow-file-access-from-files --force-color-profile=srgb --remote-debugging-pipe --disable-background-networking --disable-component-update"
).split()

# Every visible line of text with its box, the buttons, the focus. A string counts as visible when no part of it is cut off
# by a container, off the page, or covered by something else.
READ = r"""
(() => {
 const W = innerWidth, H = innerHeight, out = [], q = [];
 const clip = el => { let b = [0, 0, W, H]; for (let e = el; e && e !== document.documentElement; e = e.parentElement) {
   const s = getComputedStyle(e); if (s.overflowX !== 'visible' || s.overflowY !== 'visible') { const r = e.getBoundingClientRect();
   b = [Math.max(b[0], r.left), Math.max(b[1], r.top), Math.min(b[2], r.right), Math.min(b[3], r.bottom)]; } if (s.position === 'fixed') break; } return b; };
 const shown = (el, r, b) => { if (r.left < b[0] - 1 || r.top < b[1] - 2 || r.right > b[2] + 1 || r.bottom > b[3] + 2 || r.width < 1) return false;
   const e = document.elementFromPoint((r.left + r.right) / 2, (r.top + r.bottom) / 2); return !!e && (el === e || el.contains(e) || e.contains(el)) && !(e.contains(el) && e.id === 'dim'); };
 const block = el => { while (el && getComputedStyle(el).display.startsWith('inline')) el = el.parentElement; return el; };
 const ids = new Map(), id = el => { if (!ids.has(el)) ids.set(el, ids.size); return ids.get(el); };
 const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), rg = document.createRange();
 while (walk.nextNode()) { const t = walk.currentNode, el = t.parentElement; if (!t.data.trim() || ['STYLE', 'SCRIPT', 'OPTION'].includes(el.tagName) || el.closest('[data-x]')) continue;
   const b = clip(el), bl = id(block(el)); let at = null;
   for (const m of t.data.matchAll(/\S+/g)) { rg.setStart(t, m.index); rg.setEnd(t, m.index + m[0].length);
     const rs = [...rg.getClientRects()]; if (!rs.length) continue; const r = rs[0], ok = rs.length === 1 && shown(el, r, b);
     const gap = at && t.data.slice(at.end, m.index); if (at && at.ok === ok && Math.abs(at.y - r.top) < 3) { at.s += (gap.includes('\n') ? ' ' : gap.length > 1 && getComputedStyle(el).whiteSpace.startsWith('pre') ? gap : ' ') + m[0]; at.w = r.right - at.x; at.end = m.index + m[0].length; }
     else { at = {s: m[0], x: r.left, y: r.top, w: r.width, h: r.height, ok, bl, end: m.index + m[0].length}; out.push(at); } } }
 for (const el of document.querySelectorAll('input,select,textarea')) { if (['range', 'password', 'checkbox'].includes(el.type)) continue;
   const s = el.tagName === 'SELECT' ? el.options[el.selectedIndex].text : el.value || el.placeholder; if (!s) continue; const r = el.getBoundingClientRect();
   const c = document.createElement('canvas').getContext('2d'); c.font = getComputedStyle(el).font; const w = c.measureText(s).width;
   out.push({s, x: r.left + 4, y: r.top, w, h: r.height, ok: shown(el, r, clip(el)) && w < el.clientWidth - 8, bl: 9000 + out.length}); }
 for (const el of document.querySelectorAll('button')) { const r = el.getBoundingClientRect(); if (el.innerText.trim() && shown(el, r, clip(el))) q.push([el.innerText.trim(), el.disabled, !!el.closest('#modal')]); }
 return JSON.stringify({out: out.map(o => [o.s, o.x, o.y, o.w, o.h, o.ok, o.bl]), buttons: q});
})()
"""


class Browser:
    """One page of one browser. Errors: `RuntimeError` when Chromium says so, `TimeoutError` after three minutes of silence."""

    def __init__(self, program="chromium"):
        self.dir = tempfile.mkdtemp(prefix="pocket-vl-")
        down_r, self.down = os.pipe()
        self.up, up_w = os.pipe()
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 20) for fd in (down_r, up_w)]  # out of the way of 3 and 4
        self.process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={self.dir}/profile"],
            preexec_fn=lambda: (os.dup2(high[0], 3), os.dup2(high[1], 4)),  # where Chromium expects its debugging pipe
            pass_fds=(3, 4),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for fd in (down_r, up_w, *high):
            os.close(fd)
        self.ids, self.buffer, self.events = itertools.count(1), b"", []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self.session = None
        self.session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.call("Page.enable")

    def _message(self, deadline):
        while b"\0" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.up], [], [], left)[0]:
                raise TimeoutError("Chromium does not answer")
            part = os.read(self.up, 1 << 20)
            if not part:
                raise RuntimeError("Chromium ended")
            self.buffer += part
        one, _, self.buffer = self.buffer.partition(b"\0")
        return json.loads(one)

    def call(self, method, limit_s=180, **params):
        """One command of the debugging protocol and its result."""
        number = next(self.ids)
        message = dict(id=number, method=method, params=params)
        if getattr(self, "session", None):
            message["sessionId"] = self.session
        os.write(self.down, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + limit_s
        while True:
            got = self._message(deadline)
            if got.get("id") == number:
                if "error" in got:
                    raise RuntimeError(f"{method}: {got['error']}")
                return got["result"]
            self.events.append(got.get("method"))

    def wait(self, event, limit_s=180):
        deadline = time.monotonic() + limit_s
        while event not in self.events:
            self.events.append(self._message(deadline).get("method"))

    def open(self, html, width, height, scale=1.0):
        """Lays `html` out in a window of width×height picture elements at `scale` device pixels each."""
        file = os.path.join(self.dir, "page.html")
        with open(file, "w", encoding="utf-8") as out:
            out.write(html)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=scale, mobile=False)
        self.events.clear()
        self.call("Page.navigate", url="file://" + file)
        self.wait("Page.loadEventFired")
        self.run("document.fonts.ready.then(() => 1)")

    def run(self, script):
        result = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in result:
            raise RuntimeError(str(result["exceptionDetails"].get("exception", {}).get("description"))[:300])
        return result["result"].get("value")

    def picture(self):
        """PNG bytes of what is visible."""
        return base64.b64decode(self.call("Page.captureScreenshot", format="png", optimizeForSpeed=True)["data"])

    def read(self):
        """-> (lines [text, x, y, w, h, whole, block], buttons [name, disabled, in a dialog])."""
        got = json.loads(self.run(READ))
        return got["out"], got["buttons"]

    def close(self):
        self.process.terminate()
        self.process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)
