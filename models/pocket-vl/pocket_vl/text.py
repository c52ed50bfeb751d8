"""Random text of the sorts that screens show: names, files, numbers, messages, prose.

Every function takes a `random.Random` first and draws nothing from anywhere else, so a seed fixes a screen.
"""

import re, string
from .render.face import assets


FIRST = (
    "Ann Ben Clara David Emma Felix Grace Hugo Iris Jack Kate Leo Mia Noah Olga Paul Rosa Sam Tina Uma Victor Wendy Xavier Yara Zoe "
    "Alice Bob Carol Dan Eve Frank Maria John Lena Omar Priya Chen Yuki Ali Sofia Lucas Nina Peter Julia Tom"
).split()
LAST = (
    "Smith Jones Brown Miller Davis Wilson Moore Taylor White Harris Clark Lewis Young King Scott Green Baker Adams Nelson Hill "
    "Campbell Mitchell Roberts Carter Phillips Evans Turner Parker Collins Stewart Morris Rogers Reed Cook Morgan Bell Murphy"
).split()
EXT = "txt md pdf png jpg py rs c h js ts html css json toml yaml csv log zip tar.gz sh docx xlsx odt mp3 mp4 svg bak cfg ini conf".split()
MENU = "File Edit View Search Tools Help Window Insert Format Run Terminal Selection Go Options Bookmarks History Document Project Build Debug".split()
LABEL = (
    "Name|First name|Last name|Email|Email address|Password|User name|Phone|Address|Street|City|Country|Postcode|Company|Date of birth|Subject|"
    "Message|Comment|Card number|Amount|Quantity|Language|Time zone|Server|Port|Host|Path|Folder|File name|Title|Author|Description|Website|"
    "Department|Age|Account|Reference|Notes|Search|Category|Start date|End date|Size|Width|Height|Colour|Theme|Priority|Order number"
).split("|")
BUTTON = (
    "OK|Cancel|Apply|Close|Save|Open|Delete|Yes|No|Retry|Ignore|Abort|Help|Next|Back|Finish|Submit|Send|Sign in|Log in|Register|Continue|Reset|"
    "Browse...|Add|Remove|Edit|Update|Download|Upload|Install|Search|Print|Copy|Paste|Export|Import|Reload|Details|More|Restart|Discard|"
    "Don't save|Save as...|Accept|Decline|Learn more|Buy now|Add to cart|Checkout|Subscribe|Share|Reply|Forward|New|Refresh|Stop|Run"
).split("|")
OPTION = (
    "Dark mode|Notifications|Bluetooth|Wi-Fi|Airplane mode|Location|Night light|Sounds|Automatic updates|Show hidden files|Spell checking|"
    "Word wrap|Line numbers|Auto save|Screen reader|High contrast|Large text|Mouse keys|Sticky keys|Do not disturb|Sync|Backup|Firewall|"
    "Start at login|Show previews|Power saving|Caps lock sound|Animations|Touchpad|Hardware acceleration|Send usage data|Camera access|"
    "Microphone access|Remember passwords|Block pop-ups|Smooth scrolling|Confirm before closing|Show battery level|VPN|File sharing"
).split("|")
SECTION = (
    "General|Display|Sound|Network|Privacy|Security|Accounts|Keyboard|Mouse|Printers|Language|Appearance|Power|Storage|Updates|Accessibility|"
    "Applications|Bluetooth|Notifications|Date and time|Users|About|Wi-Fi|Backup|Region|Search|Sharing|Advanced|Shortcuts|Plugins"
).split("|")
PLACE = "Home Desktop Documents Downloads Music Pictures Videos Trash Projects Public Templates Recent Network Backup src bin etc photos reports".split()
WHY = (
    "permission denied|no such file or directory|the disk is full|the connection was reset|the server did not answer|access is denied|"
    "the file is in use|invalid argument|connection refused|timed out|not enough memory|the format is not supported|the key has expired|"
    "checksum mismatch|the device is busy|read-only file system|the network is unreachable|unexpected end of file|syntax error"
).split("|")
ERROR = (
    "Could not open {file}: {why}.|Could not save {file}: {why}.|Cannot connect to {host}: {why}.|The file {file} could not be found.|"
    "Failed to install {name}: {why}.|An unexpected error has occurred. Code {num}.|{name} has stopped working.|The password is wrong.|"
    "Failed to load {file}.|Not enough disk space to complete the operation.|The printer is not responding.|The update failed with error {num}.|"
    "Unable to read from {path}.|The server returned an error: {num}.|Login failed for user {user}.|{name} crashed and had to be closed.|"
    "Invalid value for {label}.|Access to {path} was denied.|The connection to {host} was lost.|Error {num}: {why}.|Cannot delete {file}: {why}.|"
    "Out of memory.|The document {file} is damaged and cannot be opened.|No network connection.|Upload of {file} failed.|{prose}"
).split("|")
QUESTION = (
    "Do you want to save the changes to {file}?|Delete {file}? This cannot be undone.|Are you sure you want to quit {name}?|"
    "Replace the existing file {file}?|Do you want to install {name}?|Restart now to finish the update?|Move {file} to the trash?|"
    "Allow {name} to access the network?|Close all tabs?|Overwrite {path}?|Do you trust {host}?|Sign out of {user}?|Empty the trash?|"
    "Discard all changes in {file}?|Send the report to {host}?|Keep these settings?"
).split("|")
INFO = (
    "{file} was saved.|The update was installed.|{num} files were copied.|{name} is up to date.|The backup is complete.|Download of {file} finished.|"
    "Your message was sent.|Settings saved.|A new version of {name} is available.|Printing {file}.|Connected to {host}.|{prose}|"
    "The scan found no problems.|You are signed in as {user}.|Battery is at {pct}.|The meeting starts at {time}."
).split("|")


def pick(r, s):
    return s[int(r.random() * len(s))]


def rand_string(r, n):
    kind = r.random()
    chars = (
        string.ascii_letters + string.digits
        if kind < 0.5
        else string.ascii_lowercase
        if kind < 0.7
        else string.digits
        if kind < 0.8
        else string.ascii_letters + string.digits + string.punctuation
    )
    return "".join(pick(r, chars) for _ in range(n))


def words(r, n):
    w = " ".join(pick(r, assets().words) for _ in range(n))
    return w if r.random() < 0.6 else w.capitalize()


def person(r):
    return pick(r, FIRST) + (" " + pick(r, LAST) if r.random() < 0.6 else "")


def user(r):
    return pick(r, FIRST).lower() + (str(r.randint(1, 99)) if r.random() < 0.3 else "")


def stem(r):
    x = r.random()
    if x < 0.3:
        return pick(r, assets().words).lower()
    if x < 0.5:
        return pick(r, assets().words).lower() + pick(r, "_-") + pick(r, assets().words).lower()
    if x < 0.65:
        return pick(r, assets().names)[:18]
    if x < 0.75:
        return pick(r, assets().words).lower() + str(r.randint(1, 2030))
    return pick(
        r,
        (
            "main",
            "index",
            "report",
            "notes",
            "README",
            "config",
            "test",
            "data",
            "image",
            "draft",
            "invoice",
            "photo",
            "todo",
            "setup",
            "lib",
        ),
    )


def filename(r):
    return stem(r) + "." + pick(r, EXT)


def path(r):
    return (
        pick(r, ("/home/" + user(r), "~", "/etc", "/usr/share", "/var/log", "/srv", "C:\\Users", "/opt"))
        + "/"
        + "/".join(stem(r) for _ in range(r.randint(1, 2)))
    )


def host(r):
    return (
        pick(r, ("", "www.", "mail.", "api.", "docs."))
        + re.sub(r"[^a-z]", "", pick(r, assets().words).lower())
        + pick(r, (".com", ".org", ".net", ".io", ".local", ".dev", ".example"))
    )


def number(r):
    x = r.random()
    if x < 0.4:
        return str(r.randint(0, 10 ** r.randint(1, 6)))
    if x < 0.6:
        return f"{r.random() * 10 ** r.randint(0, 4):.{r.randint(1, 2)}f}"
    if x < 0.75:
        return f"{r.randint(0, 100)}%"
    if x < 0.9:
        return pick(r, "$€£") + f"{r.random() * 1000:.2f}"
    return f"{r.randint(1000, 9999999):,}"


def date(r):
    m = pick(r, "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split())
    return pick(
        r,
        (
            f"{r.randint(1990, 2030)}-{r.randint(1, 12):02}-{r.randint(1, 28):02}",
            f"{r.randint(1, 28)} {m} {r.randint(2000, 2030)}",
            f"{m} {r.randint(1, 28)}",
            f"{r.randint(1, 12)}/{r.randint(1, 28)}/{r.randint(2000, 2030)}",
        ),
    )


def clock(r):
    return f"{r.randint(0, 23):02}:{r.randint(0, 59):02}" + (f":{r.randint(0, 59):02}" if r.random() < 0.2 else "")


def size(r):
    return f"{r.randint(1, 999)}{pick(r, (' KB', ' MB', ' B', 'K', 'M', '.5 GB'))}"


def prose(r, most=120):
    s = pick(r, assets().prose)
    if r.random() < 0.12:  # the marks that real programs put in the place of ASCII's
        s = s.replace("...", "…").replace(" - ", " – ").replace("'", "’")
    return s[:most].rstrip()


def title(r):
    x = r.random()
    if x < 0.35:
        return words(r, r.randint(1, 4)).capitalize()
    if x < 0.6:
        return pick(r, assets().titles)[:48].strip()
    if x < 0.8:
        return " ".join(w.capitalize() for w in words(r, r.randint(2, 4)).split())
    return prose(r, 48)


def fill(r, template):
    makers = {
        "file": filename,
        "why": lambda r: pick(r, WHY),
        "host": host,
        "name": lambda r: pick(r, assets().names)[:20],
        "num": lambda r: str(r.randint(1, 9999)),
        "path": path,
        "user": user,
        "label": lambda r: pick(r, LABEL),
        "prose": lambda r: prose(r, 90),
        "pct": lambda r: f"{r.randint(1, 100)}%",
        "time": clock,
        "int": lambda r: str(r.randint(1, 40)),
        "word": lambda r: pick(r, assets().words).lower(),
        "date": date,
        "size": size,
    }
    return re.sub(r"\{(\w+)\}", lambda m: makers[m[1]](r), template)


def anything(r, most=60):
    """One line of any sort, for learning to read."""
    x = r.random()
    if x < 0.30:
        s = prose(r, r.randint(min(6, most), most))
    elif x < 0.45:
        s = pick(r, assets().code).strip()
    elif x < 0.53:
        s = pick(r, assets().titles)
    elif x < 0.58:
        s = pick(r, assets().names)
    elif x < 0.64:
        s = words(r, r.randint(1, 5))
    elif x < 0.70:
        s = pick(r, BUTTON + LABEL + OPTION + SECTION + MENU)
    elif x < 0.75:
        s = fill(r, pick(r, ERROR + QUESTION + INFO))
    elif x < 0.79:
        s = pick(r, (filename, path, host, person, date, clock, size))(r)
    elif x < 0.84:
        s = " ".join(number(r) for _ in range(r.randint(1, 4)))
    elif x < 0.90:
        s = " ".join(rand_string(r, r.randint(1, 9)) for _ in range(r.randint(1, 4)))
    elif x < 0.95:
        from .commands import command

        s = pick(r, command(r)[1] or [prose(r)])
    elif x < 0.965:
        s = words(r, 1) * (r.random() < 0.5) + pick(r, "=-_.*#|+~") * r.randint(4, 40)  # rulers and bars
    else:
        s = words(r, r.randint(1, 4)).upper()
    return s[:most].strip() or "x"
