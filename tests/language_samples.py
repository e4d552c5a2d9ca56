"""One small file per language, with the definitions that a reader sees in it."""

SOURCES: dict[str, str] = {}
DEFINITIONS: dict[str, list[tuple[str, str, int, int]]] = {}

SOURCES["python"] = '''\
"""Greeting people."""

import functools

# Retries a call.
@functools.cache
def retry(times: int) -> None:
    def again() -> None: ...


class Greeter(Base):
    """Says hello."""

    name: str = "you"

    @property
    async def greeting(self) -> str:
        """The words."""
        return f"hello {self.name}"

    class Config:
        def load(self): ...


if DEBUG:
    def trace(): ...
'''
DEFINITIONS["python"] = [
    ("function", "retry", 5, 8),
    ("class", "Greeter", 11, 22),
    ("function", "Greeter.greeting", 16, 19),
    ("class", "Greeter.Config", 21, 22),
    ("function", "Greeter.Config.load", 22, 22),
    ("function", "trace", 26, 26),
]

SOURCES["javascript"] = """\
/** Adds a route. */
app.use = function use(fn) {
  return this;
};

Router.prototype.handle = function (req) {};

module.exports = {
  parse(text) {},
  render: (tree) => {
    return tree;
  },
  depth: 3,
};

(function () {
  function hidden() {}
})();

export const once = async (fn) => fn();

export default class Cache extends Map {
  #size = 0;
  static of = () => new Cache();
  get size() {
    return this.#size;
  }
}
"""
DEFINITIONS["javascript"] = [
    ("function", "app.use", 1, 4),
    ("function", "Router.handle", 6, 6),
    ("function", "parse", 9, 9),
    ("function", "render", 10, 12),
    ("function", "hidden", 17, 17),
    ("function", "once", 20, 20),
    ("class", "Cache", 22, 28),
    ("function", "Cache.of", 24, 24),
    ("function", "Cache.size", 25, 27),
]

SOURCES["typescript"] = """\
@Injectable()
export abstract class Store<T> {
  private items: T[] = [];

  @Log()
  add(item: T): void {}

  abstract clear(): void;
}

export interface Options {
  depth: number;
}

enum Level { Low, High }

namespace Paths {
  export function join(a: string): string {
    return a;
  }
}

export const useStore = create<State>((set) => ({
  count: 0,
  increment: () => set(1),
}));

declare function native(name: string): void;
"""
DEFINITIONS["typescript"] = [
    ("class", "Store", 1, 9),
    ("function", "Store.add", 5, 6),
    ("class", "Options", 11, 13),
    ("class", "Level", 15, 15),
    ("function", "Paths.join", 18, 20),
    ("function", "useStore", 23, 26),
]

SOURCES["tsx"] = """\
export const Button: React.FC<Props> = ({ label }) => (
  <button>{label}</button>
);

export default function App() {
  const click = () => {};
  return <Button label="a" />;
}
"""
DEFINITIONS["tsx"] = [
    ("function", "Button", 1, 3),
    ("function", "App", 5, 8),
]

SOURCES["java"] = """\
package shop;

/** A shopping cart. */
@Entity
public class Cart<T> extends Base {
  private int count;

  public Cart() {
    super();
  }

  /** Adds one. */
  @Override
  public boolean add(T item) {
    return true;
  }

  record Price(int cents) {
    Price {
      check(cents);
    }
  }

  interface Visitor {
    void visit(Cart cart);
  }
}

enum Color { RED, GREEN }
"""
DEFINITIONS["java"] = [
    ("class", "Cart", 3, 27),
    ("function", "Cart.Cart", 8, 10),
    ("function", "Cart.add", 12, 16),
    ("class", "Cart.Price", 18, 22),
    ("function", "Cart.Price.Price", 19, 21),
    ("class", "Cart.Visitor", 24, 26),
    ("class", "Color", 29, 29),
]

SOURCES["go"] = """\
package server

// Server answers requests.
type Server[T any] struct {
	addr string
}

type (
	// Handler handles.
	Handler func(*Request)

	Store interface {
		Get(key string) string
	}
)

// Serve listens.
func (s *Server[T]) Serve(port int) error {
	return nil
}

func New() *Server[int] { return nil }

var middleware = func(next Handler) Handler {
	return next
}
"""
DEFINITIONS["go"] = [
    ("class", "Server", 3, 6),
    ("class", "Handler", 9, 10),
    ("class", "Store", 12, 14),
    ("function", "Server.Serve", 17, 20),
    ("function", "New", 22, 22),
    ("function", "middleware", 24, 26),
]

SOURCES["rust"] = """\
//! Sockets.

/// A socket.
#[derive(Debug)]
pub struct Socket<T> {
    inner: T,
}

impl<T> Socket<T> {
    /// Opens it.
    #[inline]
    pub fn open(&self) -> bool {
        true
    }
}

impl<T> Drop for &mut Socket<T> {
    const LIMIT: usize = 1;
    fn drop(&mut self) {}
}

pub trait Read {
    fn read(&self);
    fn read_all(&self) {}
}

macro_rules! ready {
    ($e:expr) => {};
}

cfg_net! {
    impl Socket<u8> {
        pub fn bind() {}
    }
}

mod tests {
    #[test]
    fn it_opens() {}
}
"""
DEFINITIONS["rust"] = [
    ("class", "Socket", 3, 7),
    ("function", "Socket.open", 10, 14),
    ("class", "Socket", 17, 20),
    ("function", "Socket.drop", 19, 19),
    ("class", "Read", 22, 25),
    ("function", "Read.read_all", 24, 24),
    ("function", "ready", 27, 29),
    ("function", "Socket.bind", 33, 33),
    ("function", "tests.it_opens", 38, 39),
]

SOURCES["c"] = r"""#include <stdio.h>
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define SWAP(a, b) \
  do {             \
  } while (0)

/* A list. */
typedef struct list {
  struct list *next;
} list_t;

enum color { RED, GREEN };

int length(list_t *list);

/* Counts. */
static int *count(list_t *list)
{
#ifdef FAST
  if (list) {
#else
  while (list) {
#endif
  }
  return 0;
}

EXPORT_API int (*handler(int code))(int) {
  return 0;
}
"""
DEFINITIONS["c"] = [
    ("function", "SWAP", 3, 5),
    ("class", "list_t", 7, 10),
    ("class", "color", 12, 12),
    ("function", "count", 16, 26),
    ("function", "handler", 28, 30),
]

SOURCES["cpp"] = """\
FMT_BEGIN_NAMESPACE
namespace net::http {

/// A pool.
template <typename T>
class LIB_EXPORT Pool : public Base {
 public:
  explicit Pool(int size) : size_(size) {}
  ~Pool() = default;
  T& operator[](int i) const {
    return items_[i];
  }
  void clear();

 private:
  int size_;
};

template <typename T>
void Pool<T>::clear() {
  size_ = 0;
}

Pool<int>::~Pool() {}

enum class Mode { kRead };

auto parse = [](int a) {
  return a;
};

}  // namespace net::http

TEST(PoolTest, Clears) {
  Pool<int> pool(1);
}
"""
DEFINITIONS["cpp"] = [
    ("class", "net.http.Pool", 4, 17),
    ("function", "net.http.Pool.Pool", 8, 8),
    ("function", "net.http.Pool.operator[]", 10, 12),
    ("function", "net.http.Pool.clear", 19, 22),
    ("function", "net.http.Pool.~Pool", 24, 24),
    ("class", "net.http.Mode", 26, 26),
    ("function", "net.http.parse", 28, 30),
    ("function", "PoolTest.Clears", 34, 36),
]

SOURCES["csharp"] = """\
using System;

namespace Shop
{
    /// <summary>A cart.</summary>
    [Serializable]
    public partial class Cart<T> : Base where T : class
    {
        private int count;

        public int Count => count;

        public string Name
        {
            get { return name; }
            set { name = value; }
        }

        public Cart() : base()
        {
        }

        [Obsolete]
        public async Task<int> AddAsync<U>(T item)
        {
            return 1;
        }

        public static Cart<T> operator +(Cart<T> a, Cart<T> b) => a;
    }

    public record Price(int Cents);

    interface IVisitor { void Visit(); }
}
"""
DEFINITIONS["csharp"] = [
    ("class", "Cart", 5, 30),
    ("function", "Cart.Name", 13, 17),
    ("function", "Cart.Cart", 19, 21),
    ("function", "Cart.AddAsync", 23, 27),
    ("function", "Cart.operator +", 29, 29),
    ("class", "Price", 32, 32),
    ("class", "IVisitor", 34, 34),
]

SOURCES["php"] = r"""<?php
namespace App\Http;

/** Routes requests. */
#[Attr]
final class Router extends Base
{
    use Macroable;

    private array $routes = [];

    public function get(string $uri): Route
    {
        return $this->add($uri);
    }

    abstract protected function add($uri);
}

trait Macroable
{
    public static function macro() {}
}

function helper(int $a) { return $a; }

return new class extends Migration {
    public function up(): void
    {
    }
};
"""
DEFINITIONS["php"] = [
    ("class", "Router", 4, 18),
    ("function", "Router.get", 12, 15),
    ("class", "Macroable", 20, 23),
    ("function", "Macroable.macro", 22, 22),
    ("function", "helper", 25, 25),
    ("function", "up", 28, 30),
]

SOURCES["ruby"] = """\
module Active
  # A record.
  class Record < Base
    attr_reader :name

    # Saves it.
    def save!(force: false)
      true
    end

    def self.find(id) = id

    class << self
      def all; end
    end

    private def secret
      1
    end

    included do
      def from_block; end
    end
  end

  Point = Struct.new(:x) do
    def norm; end
  end
end
"""
DEFINITIONS["ruby"] = [
    ("class", "Active", 1, 29),
    ("class", "Active.Record", 2, 24),
    ("function", "Active.Record.save!", 6, 9),
    ("function", "Active.Record.find", 11, 11),
    ("function", "Active.Record.all", 14, 14),
    ("function", "Active.Record.secret", 17, 19),
    ("function", "Active.Record.from_block", 22, 22),
    ("class", "Active.Point", 26, 28),
    ("function", "Active.Point.norm", 27, 27),
]

SOURCES["kotlin"] = """\
package shop

/** A cart. */
@Serializable
data class Cart<T>(val size: Int) : Base() {
    val total: Int
        get() {
            return 1
        }

    constructor() : this(0) {
        check()
    }

    override suspend fun add(item: T): Boolean {
        return true
    }

    companion object {
        fun empty(): Cart<Int> = Cart(0)
    }
}

fun <T> List<T>.second(): T = this[1]

fun String?.orDash() = this ?: "-"

interface Visitor {
    fun visit()
}

object Registry {
    fun find() {}
}
"""
DEFINITIONS["kotlin"] = [
    ("class", "Cart", 3, 22),
    ("function", "Cart.total", 6, 9),
    ("function", "Cart.constructor", 11, 13),
    ("function", "Cart.add", 15, 17),
    ("function", "Cart.empty", 20, 20),
    ("function", "List.second", 24, 24),
    ("function", "String.orDash", 26, 26),
    ("class", "Visitor", 28, 30),
    ("class", "Registry", 32, 34),
    ("function", "Registry.find", 33, 33),
]

SOURCES["swift"] = """\
import UIKit

/// A view.
@available(iOS 13, *)
public class View<T>: Base {
    var size = 1
    var frame: Int {
        return 1
    }

    init(size: Int) {
        self.size = size
    }

    func draw(_ rect: Int) -> Int {
        return rect
    }

    static func == (l: View, r: View) -> Bool {
        true
    }
}

extension String: Drawable {
    func drawn() -> String { self }
}

protocol Drawable {
    func draw()
}

func free<T>(a: T) throws {}
"""
DEFINITIONS["swift"] = [
    ("class", "View", 3, 22),
    ("function", "View.frame", 7, 9),
    ("function", "View.init", 11, 13),
    ("function", "View.draw", 15, 17),
    ("function", "View.==", 19, 21),
    ("class", "String", 24, 26),
    ("function", "String.drawn", 25, 25),
    ("class", "Drawable", 28, 30),
    ("function", "free", 32, 32),
]

SOURCES["scala"] = """\
package shop

/** A cart. */
@annotation
final case class Cart[A](size: Int) extends Base {
  val empty = true
  def add(item: A): Cart[A] = {
    this
  }
}

object Cart {
  def apply(): Cart[Int] = new Cart(0)

  implicit val show: Show[Cart] = new Show[Cart] {
    def show(cart: Cart): String = "cart"
  }
}

trait Visitor {
  def visit: Unit
}

given intOrd: Ord[Int] with {
  def compare(x: Int, y: Int) = 1
}

extension (c: Circle)
  def area = 1
  def rim = 2

def top(a: Int) = 1
"""
DEFINITIONS["scala"] = [
    ("class", "Cart", 3, 10),
    ("function", "Cart.add", 7, 9),
    ("class", "Cart", 12, 18),
    ("function", "Cart.apply", 13, 13),
    ("function", "Cart.show.show", 16, 16),
    ("class", "Visitor", 20, 22),
    ("class", "intOrd", 24, 26),
    ("function", "intOrd.compare", 25, 25),
    ("function", "area", 29, 29),
    ("function", "rim", 30, 30),
    ("function", "top", 32, 32),
]

SOURCES["bash"] = """\
#!/bin/bash
set -e

# Installs it.
install() {
  inner() { :; }
}

function nvm_remove {
  echo "gone"
}

if true; then
  fallback() { :; }
fi
"""
DEFINITIONS["bash"] = [
    ("function", "install", 4, 7),
    ("function", "nvm_remove", 9, 11),
    ("function", "fallback", 14, 14),
]

SOURCES["lua"] = """\
local M = {}

--- Splits a string.
local function split(text)
  return text
end

function M.join(parts) end

function M:close()
  self.open = false
end

M.setup = function(opts)
  M.opts = opts
end

return {
  config = function()
    return 1
  end,
  lazy = true,
}
"""
DEFINITIONS["lua"] = [
    ("function", "split", 3, 6),
    ("function", "M.join", 8, 8),
    ("function", "M.close", 10, 12),
    ("function", "M.setup", 14, 16),
    ("function", "config", 19, 21),
]

SOURCES["haskell"] = """\
{-# LANGUAGE OverloadedStrings #-}
module Shop.Cart (total) where

import Data.List

-- | The sum.
total :: [Int] -> Int
total [] = 0
total (x : xs) = go x
  where
    go y = y + total xs

-- | A cart.
data Cart = Cart { items :: [Int] } | Empty
  deriving (Show)

class Shape a where
  area :: a -> Int
  area _ = 0

instance Shape Cart where
  area = total . items

(<+>) :: Int -> Int -> Int
a <+> b = a + b

orphan :: Int
"""
DEFINITIONS["haskell"] = [
    ("function", "total", 6, 11),
    ("class", "Cart", 13, 15),
    ("class", "Shape", 17, 19),
    ("class", "Shape Cart", 21, 22),
    ("function", "<+>", 24, 25),
]

SOURCES["elixir"] = '''\
defmodule Shop.Cart do
  @moduledoc "A cart."
  use GenServer

  @doc """
  Adds an item.
  """
  @spec add(t, item) :: t
  def add(cart, nil), do: cart

  def add(cart, item) when is_list(item) do
    [item | cart]
  end

  def add(cart), do: cart

  defp total(cart) do
    0
  end

  defmacro tax(x) do
    quote do: unquote(x)
  end

  defimpl String.Chars, for: Cart do
    def to_string(cart), do: "cart"
  end

  test "adds an item" do
    assert add([], 1)
  end
end
'''
DEFINITIONS["elixir"] = [
    ("class", "Shop.Cart", 1, 32),
    ("function", "Shop.Cart.add", 5, 13),
    ("function", "Shop.Cart.add", 15, 15),
    ("function", "Shop.Cart.total", 17, 19),
    ("function", "Shop.Cart.tax", 21, 23),
    ("class", "Shop.Cart.String.Chars", 25, 27),
    ("function", "Shop.Cart.String.Chars.to_string", 26, 26),
    ("function", "Shop.Cart.adds an item", 29, 31),
]

SOURCES["zig"] = """\
//! Lists.
const std = @import("std");

/// A point.
pub const Point = struct {
    x: u8,

    pub fn init(x: u8) Point {
        return .{ .x = x };
    }
};

pub fn List(comptime T: type) type {
    return struct {
        items: []T,
        pub fn push(self: *@This(), item: T) void {
            _ = item;
        }
    };
}

extern fn native() void;

test "push" {
    try std.testing.expect(true);
}
"""
DEFINITIONS["zig"] = [
    ("class", "Point", 4, 11),
    ("function", "Point.init", 8, 10),
    ("class", "List", 13, 20),
    ("function", "List.push", 16, 18),
    ("function", "push", 24, 26),
]
