"""What is left out of an index and why: tables of names first, then what the bytes say.

A reason is one short word or phrase that `status` can count: "secret", "lock file", "binary",
"minified", "vendored", "generated", "data", "private key", "git-lfs pointer", "empty",
"too large". Names are compared in lower case, folders as they are written (`Pods` holds vendored
code, `pods` need not). What may hold a credential is left out even where it would be text, since
search results are pasted into places that an `.env` never should be.
"""

import codecs
import fnmatch
import re
from functools import lru_cache

MAX_FILE_BYTES = 1_000_000
MAX_DATA_BYTES = 200_000  # beyond it, a serialised file is somebody's data, not configuration
MAX_AVERAGE_LINE_CHARS = 500
MAX_LINE_CHARS = 20_000
_BINARY_PROBE_BYTES = 8192
_HEADER_LINES = 10

FOLDERS = {
    "vendored": "node_modules bower_components jspm_packages .venv site-packages Pods .yarn "
    ".bundle .pnpm-store Carthage",
    "generated": "__pycache__ __generated__ .mypy_cache .pytest_cache .ruff_cache .tox .nox .eggs "
    ".gradle .next .nuxt .svelte-kit .terraform DerivedData .hg .svn",
    "secret": ".ssh .gnupg .aws legacy_credentials",
}
NAMES = {
    "secret": ".env .envrc id_rsa id_dsa id_ecdsa id_ed25519 .netrc _netrc .npmrc .pypirc "
    ".git-credentials .htpasswd .pgpass pgpass.conf .my.cnf .mylogin.cnf .s3cfg .boto .dockercfg "
    ".dockerconfigjson .vault-token .vault_pass .vault_pass.txt .terraformrc terraform.rc "
    "credentials credentials.json credentials.tfrc.json credentials.yml.enc kubeconfig "
    "application_default_credentials.json secret.yml secret.yaml secret.json secrets.yml "
    "secrets.yaml secrets.json secrets.toml rclone.conf wp-config.php .bash_history .zsh_history "
    ".python_history .psql_history .mysql_history .irb_history",
    "lock file": "package-lock.json npm-shrinkwrap.json yarn.lock pnpm-lock.yaml bun.lockb "
    "cargo.lock poetry.lock uv.lock pdm.lock pipfile.lock conda-lock.yml gemfile.lock "
    "composer.lock go.sum go.work.sum flake.lock mix.lock rebar.lock podfile.lock pubspec.lock "
    "package.resolved packages.lock.json gradle.lockfile buildscript-gradle.lockfile deno.lock "
    "cabal.project.freeze stack.yaml.lock cartfile.resolved .terraform.lock.hcl",
    "generated": "bindata.go .pnp.cjs .pnp.js .pnp.loader.mjs",
    "data": ".ds_store thumbs.db",
}
NAME_GLOBS = {
    "secret": ".env.* *.env *.secret.y*ml *.secrets.y*ml *.secrets.json service-account*.json "
    "service_account*.json *-service-account.json client_secret*.json *.tfstate.backup "
    "*.tfvars.json",
    "minified": "*.min.js *.min.mjs *.min.cjs *.min.css *-min.js *.bundle.js *.bundle.css",
    "generated": "*_pb2.py *_pb2.pyi *_pb2_grpc.py *.pb.go *.pb.gw.go *.pb.cc *.pb.h *.pb.swift "
    "*.pbobjc.h *.pbobjc.m *.pb.dart *.g.dart *.gr.dart *.freezed.dart *.mocks.dart "
    "*.designer.cs *.designer.vb *.g.cs *.g.i.cs *_generated.* *.generated.* zz_generated.* "
    "*.gen.go *.gen.ts *.snap",
}
NOT_SECRET_GLOBS = "*.example *.sample *.template *.dist example.env sample.env template.env"
SUFFIXES = {
    "secret": "pem key p8 p12 pfx pkcs12 jks jceks bks keystore kdb kdbx tfstate tfvars ppk gpg "
    "pgp ovpn mobileprovision keychain",
    "lock file": "lock",
    "minified": "map",
    "binary": "png jpg jpeg gif bmp ico icns webp avif heic tif tiff psd ai eps xcf sketch fig "
    "mp3 mp4 m4a m4v wav flac ogg ogv opus aac aiff mid avi mov mkv webm wmv flv swf "
    "ttf otf woff woff2 eot pfb "
    "zip gz tgz bz2 tbz xz txz zst lz4 lzma br 7z rar tar jar war ear aar apk ipa whl egg gem "
    "nupkg deb rpm dmg iso msi cab crx xpi vsix "
    "exe dll so dylib a o obj lib ko pdb pyc pyo pyd class dex wasm beam hi elc bc ilk exp nib "
    "pdf doc docx xls xlsx ppt pptx odt ods odp pages numbers epub mobi djvu "
    "sqlite sqlite3 db db3 mdb accdb rdb ldb frm ibd "
    "pt pth ckpt onnx safetensors gguf ggml pb tflite h5 hdf5 keras mlmodel npy npz pkl pickle "
    "joblib faiss bin dat blob img der crt cer p7b sig "
    "blend fbx glb gltf 3ds max stl dae unitypackage uasset pak wad rom",
    "data": "csv tsv psv parquet arrow feather avro orc jsonl ndjson geojson topojson kml gpx "
    "ipynb svg log po pot mo xliff xlf arff libsvm fasta fastq vcf pdb sdf out dump",
}
_LAST_TWO = frozenset({".docker/config.json", ".kube/config", ".m2/settings.xml"})
_SERIALISED = frozenset({"json", "json5", "yaml", "yml", "xml", "plist", "sql", "toml", "html"})
_PROSE = frozenset(
    {"", "md", "markdown", "mdx", "rst", "txt", "text", "adoc", "asciidoc", "asc", "org", "tex"}
)


def path_reason(path: str) -> str | None:
    """Why a file of this POSIX path is left out, or None; looks at the name alone."""
    if not is_utf8(path):
        return "file name is not UTF-8"  # no output format could print it
    folder, _, name = path.rpartition("/")
    reason = folder_reason(folder) or _name_reason(name.lower())
    if reason is None and folder and f"{folder.rpartition('/')[2]}/{name}" in _LAST_TWO:
        return "secret"
    return reason


def is_utf8(path: str) -> bool:
    """Whether a path can be printed: the bytes of other names are kept as lone surrogates."""
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=1 << 12)
def folder_reason(folder: str) -> str | None:
    """Why everything below this POSIX folder is left out, or None."""
    for part in folder.split("/"):
        if part in _REASON_OF_FOLDER:
            return _REASON_OF_FOLDER[part]
    return None


def size_reason(path: str, size_bytes: int, max_bytes: int = MAX_FILE_BYTES) -> str | None:
    """Why a file of this size is left out, or None."""
    if size_bytes == 0:
        return "empty"
    if size_bytes > max_bytes:
        return "too large"
    if size_bytes > MAX_DATA_BYTES and _suffix(path) in _SERIALISED:
        return "data"
    return None


def content_reason(path: str, data: bytes, max_bytes: int = MAX_FILE_BYTES) -> str | None:
    """Why a file with these bytes is left out, or None."""
    reason = size_reason(path, len(data), max_bytes)
    if reason is not None:
        return reason
    if _is_binary(data):
        return "binary"
    if data.startswith(b"version https://git-lfs.github.com/spec/"):
        return "git-lfs pointer"
    if _holds_private_key(path, data):
        return "private key"
    if _suffix(path) in _PROSE:
        return None
    if _is_minified(data):
        return "minified"
    return "generated" if _is_generated(data) else None


def decode(data: bytes) -> str:
    """The text of `data`: UTF-8, UTF-16 or UTF-32 by their marks, else Windows-1252.

    Never raises, and the result can always be encoded as UTF-8 again.
    """
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            return data[len(mark) :].decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _name_reason(name: str) -> str | None:
    """The reason that a lower-case file name gives, or None."""
    reason = _REASON_OF_NAME.get(name) or _REASON_OF_SUFFIX.get(_suffix(name))
    if reason is None and (match := _GLOBS.fullmatch(name)):
        reason = (match.lastgroup or "").replace("_", " ")
    if reason == "secret" and _NOT_SECRET.fullmatch(name):
        return None
    return reason


def _suffix(path: str) -> str:
    """The lower-case ending after the last dot, without it; "" when there is none."""
    stem, _, suffix = path.rpartition("/")[2].rpartition(".")
    return suffix.lower() if stem else ""


def _is_binary(data: bytes) -> bool:
    """Whether the first 8 KiB hold a NUL that no UTF-16 or UTF-32 mark explains."""
    if data.startswith(tuple(mark for mark, _ in _MARKS)):
        return False
    return b"\0" in data[:_BINARY_PROBE_BYTES]


def _holds_private_key(path: str, data: bytes) -> bool:
    """Whether this is a key file; code that mentions one (a test, a parser) is not."""
    match = _PRIVATE_KEY.search(data)
    return match is not None and (match.start() == 0 or _suffix(path) in _KEY_SUFFIXES)


def _is_minified(data: bytes) -> bool:
    """Whether lines are longer than anybody writes them."""
    lines = data.splitlines()
    if len(data) > MAX_AVERAGE_LINE_CHARS * len(lines):
        return True
    return len(data) > MAX_LINE_CHARS and max(map(len, lines)) > MAX_LINE_CHARS


def _is_generated(data: bytes) -> bool:
    """Whether one of the first lines says that a program wrote the file."""
    header = data[:_BINARY_PROBE_BYTES].splitlines()[:_HEADER_LINES]
    return any(_GENERATED.search(line) and not _STATEMENT.match(line) for line in header)


def _inverted(table: dict[str, str]) -> dict[str, str]:
    """Reason of each word of a table of reasons; the first reason that names it holds."""
    inverted: dict[str, str] = {}
    for reason, words in table.items():
        for word in words.split():
            inverted.setdefault(word, reason)
    return inverted


def _any_of(globs: str) -> str:
    """A regular expression that matches what one of the globs matches."""
    return "|".join(fnmatch.translate(glob) for glob in globs.split())


_REASON_OF_FOLDER = _inverted(FOLDERS)
_REASON_OF_NAME = _inverted(NAMES)
_REASON_OF_SUFFIX = _inverted(SUFFIXES)
_GLOBS = re.compile(
    "|".join(f"(?P<{r.replace(' ', '_')}>{_any_of(g)})" for r, g in NAME_GLOBS.items())
)
_NOT_SECRET = re.compile(_any_of(NOT_SECRET_GLOBS))
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark is its beginning
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_KEY_SUFFIXES = frozenset({"", "asc", "txt", "pub", "conf", "cfg", "ini", "yml", "yaml", "json"})
_PRIVATE_KEY = re.compile(rb"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_STATEMENT = re.compile(rb"\s*[\w.]+ ?[(=]")  # of a generator, which writes such a line
_GENERATED = re.compile(
    rb"generated\b[^\n]*\bdo not (?:edit|modify)|do not (?:edit|modify)[^\n]*\bgenerated\b"
    rb"|(?<![\w.])@generated\b|<auto-?generated"
    rb"|this (?:file|code|class) (?:is|was|has been) (?:auto-?|automatically )generated"
    rb"|(?:auto-?|automatically )generated by\b",
    re.IGNORECASE,
)
