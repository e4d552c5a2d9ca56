"""Names that give a function away, hidden as in AdvTest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent.parent / "scripts"))

from longtasks.hidden_names import _BINDERS, without_names

CASES = {
    "python": (
        """\
def load(path, *, depth: int = 3, **rest):
    # load what path says
    for key, (a, b) in rest.items():
        self.key = key
        with open(path) as file: log(f"at {path} key", "path")
    load(path=[i for i in a], z=file.path)
""",
        """\
def Func(arg_0, *, arg_1: int = 3, **arg_2):
    # Func what path says
    for arg_3, (arg_4, arg_5) in arg_2.items():
        self.key = arg_3
        with open(arg_0) as arg_6: log(f"at {arg_0} key", "path")
    Func(arg_0=[arg_7 for arg_7 in arg_4], z=arg_6.path)
""",
    ),
    "c": (
        """\
int load(const char *path, int (*cb)(void *), char buf[8]) {
  int i, *p = NULL; struct foo bar = {0};
  for (i = 0; i < bar.n; i++) { p->path = path[i] + PATH; cb(buf); }
  return load(path, cb, buf); /* p */
}
""",
        """\
int Func(const char *arg_0, int (*arg_1)(void *), char arg_2[8]) {
  int arg_3, *arg_4 = NULL; struct foo arg_5 = {0};
  for (arg_3 = 0; arg_3 < arg_5.n; arg_3++) { arg_4->path = arg_0[arg_3] + PATH; arg_1(arg_2); }
  return Func(arg_0, arg_1, arg_2); /* p */
}
""",
    ),
    "cpp": (
        """\
void A::load(const std::string& path, int n = 3) {
  for (const auto& [k, v] : map_) { auto x = k; A::path(path); }
  for (auto& e : items) e.run([&](int q) { return q + n; });
}
""",
        """\
void A::Func(const std::string& arg_0, int arg_1 = 3) {
  for (const auto& [arg_2, arg_3] : map_) { auto arg_4 = arg_2; A::path(arg_0); }
  for (auto& arg_5 : items) arg_5.run([&](int arg_6) { return arg_6 + arg_1; });
}
""",
    ),
    "java": (
        """\
public <T> void load(final String path, int... rest) {
    for (Entry<K, V> e : map.entrySet()) { e.getKey().path = path; this.rest = rest; }
    try (Reader in = open(path)) { list.each((a) -> a.go()); } catch (X ex) { log("path", ex); }
}
""",
        """\
public <T> void Func(final String arg_0, int... arg_1) {
    for (Entry<K, V> arg_2 : map.entrySet()) { arg_2.getKey().path = arg_0; this.rest = arg_1; }
    try (Reader arg_3 = open(arg_0)) { list.each((arg_4) -> arg_4.go()); } catch (X arg_5) { \
log("path", arg_5); }
}
""",
    ),
    "go": (
        """\
func (s *Server) load(ctx context.Context, names ...string) (out []int) {
	for i, name := range names { s.name = name; out = append(out, i) }
	var x, y int; const z = 1
	return s.load(ctx, x, y, z)
}
""",
        """\
func (arg_0 *Server) Func(arg_1 context.Context, arg_2 ...string) (arg_3 []int) {
	for arg_4, arg_5 := range arg_2 { arg_0.name = arg_5; arg_3 = append(arg_3, arg_4) }
	var arg_6, arg_7 int; const arg_8 = 1
	return arg_0.Func(arg_1, arg_6, arg_7, arg_8)
}
""",
    ),
    "csharp": (
        """\
public int load(string path, int n = 3) {
    foreach (var e in items) { var x = e.path + $"{path} n"; }
    if (o is Foo foo && int.TryParse(path, out var v)) { items.Select((a, b) => foo); }
    try { } catch (Exception ex) { throw ex; }
}
""",
        """\
public int Func(string arg_0, int arg_1 = 3) {
    foreach (var arg_2 in items) { var arg_3 = arg_2.path + $"{arg_0} n"; }
    if (o is Foo arg_4 && int.TryParse(arg_0, out var arg_5)) { items.Select((arg_6, arg_7) => \
arg_4); }
    try { } catch (Exception arg_8) { throw arg_8; }
}
""",
    ),
}


@pytest.mark.parametrize("language", CASES)
def test_own_parameters_and_variables_are_hidden_and_nothing_else(language):
    code, hidden = CASES[language]
    assert without_names(code, language, "load") == hidden


def test_every_language_of_the_table_is_tried():
    assert CASES.keys() == _BINDERS.keys()


def test_where_variables_are_not_known_the_name_is_hidden():
    assert without_names("fn load(path: P) { load(path) }", "rust", "load") == (
        "fn Func(path: P) { Func(path) }"
    )
    assert without_names("load a, reload b", "text", "load") == "Func a, reload b"
    assert without_names("load a", "text", "") == "load a"


@given(st.text("def f(x):\n\t{}=,;\"'é中 int*&#", max_size=60), st.sampled_from(sorted(CASES)))
def test_broken_code_is_no_error(code, language):
    assert without_names(code, language, "") == without_names(code, language, "")
