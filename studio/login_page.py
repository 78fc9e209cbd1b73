"""The sign-in and sign-out pages: plain HTML without scripts, in the colours of the studio."""

import base64
import hashlib
from html import escape
from string import Template

from starlette.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark; --ground: #f6f8f9; --card: #fff; --text: #182026;
  --subdued: #4e5b64; --line: #67757e; --accent: #1a5662; --hover: #174650; --focus: #1f6a77;
  --error: #8f221b; --error-ground: #fdeceb; }
@media (prefers-color-scheme: dark) {
  :root { --ground: #10161b; --card: #182026; --text: #ebeff1; --subdued: #b9c4ca;
    --line: #8c9aa3; --accent: #1f6a77; --hover: #1a5662; --focus: #80c0c8;
    --error: #f6b9b4; --error-ground: #3a1b1b; }
}
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1rem;
  background: var(--ground); color: var(--text);
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif; }
main { width: 100%; max-width: 24rem; padding: 2rem; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px; }
h1 { margin: 0 0 .25rem; font-size: 1.375rem; line-height: 1.3; }
p { margin: 0 0 1.25rem; color: var(--subdued); }
label { display: block; margin-bottom: .25rem; font-weight: 600; }
input { width: 100%; min-height: 44px; margin-bottom: 1rem; padding: .5rem .75rem; font: inherit;
  color: var(--text); background: var(--ground); border: 1px solid var(--line);
  border-radius: 6px; }
button, .button { display: block; width: 100%; min-height: 44px; padding: .5rem 1rem; font: inherit;
  font-weight: 600; text-align: center; color: #fff; background: var(--accent);
  border: 1px solid var(--accent); border-radius: 6px; cursor: pointer; }
button:hover { background: var(--hover); }
a { display: inline-block; margin-top: 1rem; padding: .25rem 0; color: var(--focus); }
:focus-visible { outline: 3px solid var(--focus); outline-offset: 2px; }
p[role=alert] { padding: .75rem; color: var(--error); background: var(--error-ground);
  border-radius: 6px; }
"""

PAGE = Template(
    """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title - DermaFlux Studio</title>
<link rel="icon" href="/favicon.ico">
<style>$style</style>
</head>
<body>
<main>
<h1>$title</h1>
$content
</main>
</body>
</html>
"""
)

SIGN_IN = Template(
    """<p>DermaFlux Studio makes synthetic skin lesion images for research. It is not for
diagnosis.</p>
$problem
<form method="post" action="/login">
<label for="name">Name</label>
<input id="name" name="name" value="$name" autocomplete="username" autocapitalize="none"
 spellcheck="false" maxlength="200" required$focus_name$described>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password"
 maxlength="1000" required$focus_password$described>
<button type="submit">Sign in</button>
</form>"""
)

SIGN_OUT = Template(
    """<p>You are signed in as <strong>$name</strong>. Jobs that run go on without you.</p>
<form method="post" action="/logout"><button type="submit">Sign out</button></form>
<a href="/">Back to the studio</a>"""
)


def sign_in_page(
    *, problem: str | None = None, name: str = "", status: int = 200, retry_s: int | None = None
) -> HTMLResponse:
    """The sign-in form, after a refusal with its reason and the name as it was written."""
    alert = "" if problem is None else f'<p role="alert" id="problem">{escape(problem)}</p>'
    content = SIGN_IN.substitute(
        problem=alert,
        name=escape(name),
        described="" if problem is None else ' aria-describedby="problem"',
        focus_name="" if name else " autofocus",
        focus_password=" autofocus" if name else "",
    )
    response = _page("Sign in", content, status)
    if retry_s is not None:
        response.headers["Retry-After"] = str(retry_s)
    return response


def sign_out_page(name: str) -> HTMLResponse:
    """Asks before signing out."""
    return _page("Sign out", SIGN_OUT.substitute(name=escape(name)), 200)


def _page(title: str, content: str, status: int) -> HTMLResponse:
    digest = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; img-src 'self'; form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    html = PAGE.substitute(title=title, style=STYLE, content=content)
    return HTMLResponse(html, status, {"Content-Security-Policy": policy})
