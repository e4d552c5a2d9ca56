"""What the node types of each tree-sitter grammar mean to us: one table, data only.

Read with tree-sitter's `node-types.json` of the grammar at hand. A type that a grammar renames is
no error here: its nodes are then walked through like any other.
"""

from dataclasses import dataclass


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Grammar:
    """The node types of one language, by their role.

    Attributes:
        module: The Python package of the grammar.
        entry: Its function that returns the language.
        functions: Functions; with `bodies`, only those that have one of these children.
        bodies: Fields or types of a function's body; empty where every function counts.
        classes: Types that hold fields and methods.
        modules: Classes that are only namespaces when they hold nothing but other classes.
        impls: Classes that are only namespaces when they hold nothing but functions.
        opaque: Classes whose inside holds no definition of its own.
        scopes: They lend their name to what is inside and are nothing by themselves.
        bindings: `name = value`: a definition when the value is one of `values`, else a scope.
        values: Function and class expressions that a binding names.
        wrappers: They start the definition inside them (`export`, decorators, `template <>`).
        leading: Comments and attributes: they belong to the definition on the line below.
        long_only: Definitions only when they take three lines or more.
    """

    module: str
    entry: str = "language"
    functions: frozenset[str] = frozenset()
    bodies: frozenset[str] = frozenset()
    classes: frozenset[str] = frozenset()
    modules: frozenset[str] = frozenset()
    impls: frozenset[str] = frozenset()
    opaque: frozenset[str] = frozenset()
    scopes: frozenset[str] = frozenset()
    bindings: frozenset[str] = frozenset()
    values: frozenset[str] = frozenset()
    wrappers: frozenset[str] = frozenset()
    leading: frozenset[str] = frozenset({"comment"})
    long_only: frozenset[str] = frozenset()


def _ecmascript(module: str, entry: str) -> Grammar:
    """JavaScript, TypeScript and TSX share their names; a script lacks some of them."""
    return Grammar(
        module,
        entry,
        functions=_words("function_declaration generator_function_declaration method_definition"),
        bodies=_words("body"),
        classes=_words(
            "class_declaration abstract_class_declaration interface_declaration "
            "enum_declaration type_alias_declaration"
        ),
        opaque=_words("interface_declaration enum_declaration type_alias_declaration"),
        scopes=_words("internal_module module"),
        bindings=_words(
            "variable_declarator assignment_expression pair field_definition "
            "public_field_definition export_statement"
        ),
        values=_words("arrow_function function_expression generator_function class"),
        wrappers=_words("export_statement ambient_declaration"),
        leading=_words("comment decorator"),
        long_only=_words("pair"),
    )


_C_TYPES = "struct_specifier union_specifier enum_specifier"

GRAMMARS: dict[str, Grammar] = {
    "python": Grammar(
        "tree_sitter_python",
        functions=_words("function_definition"),
        classes=_words("class_definition"),
        wrappers=_words("decorated_definition"),
    ),
    "javascript": _ecmascript("tree_sitter_javascript", "language"),
    "typescript": _ecmascript("tree_sitter_typescript", "language_typescript"),
    "tsx": _ecmascript("tree_sitter_typescript", "language_tsx"),
    "java": Grammar(
        "tree_sitter_java",
        functions=_words(
            "method_declaration constructor_declaration compact_constructor_declaration"
        ),
        bodies=_words("body"),
        classes=_words(
            "class_declaration interface_declaration enum_declaration record_declaration "
            "annotation_type_declaration"
        ),
        scopes=_words("enum_constant"),
        leading=_words("line_comment block_comment"),
    ),
    "go": Grammar(
        "tree_sitter_go",
        functions=_words("function_declaration method_declaration"),
        bodies=_words("body"),
        classes=_words("type_spec type_alias"),
        opaque=_words("type_spec type_alias"),
        bindings=_words("var_spec"),
        values=_words("func_literal"),
    ),
    "rust": Grammar(
        "tree_sitter_rust",
        functions=_words("function_item macro_definition"),
        classes=_words("struct_item enum_item union_item trait_item impl_item"),
        impls=_words("impl_item"),
        opaque=_words("struct_item enum_item union_item"),
        scopes=_words("mod_item"),
        leading=_words("line_comment block_comment attribute_item"),
    ),
    "c": Grammar(
        "tree_sitter_c",
        functions=_words("function_definition preproc_function_def"),
        bodies=_words("body value"),
        classes=_words(_C_TYPES + " type_definition"),
        opaque=_words(_C_TYPES + " type_definition"),
        long_only=_words("preproc_function_def"),
    ),
    "cpp": Grammar(
        "tree_sitter_cpp",
        functions=_words("function_definition preproc_function_def"),
        bodies=_words("body value try_statement"),
        classes=_words(_C_TYPES + " type_definition class_specifier concept_definition"),
        opaque=_words("union_specifier enum_specifier type_definition concept_definition"),
        scopes=_words("namespace_definition"),
        bindings=_words("init_declarator"),
        values=_words("lambda_expression"),
        wrappers=_words("template_declaration"),
        leading=_words("comment attribute_declaration"),
        long_only=_words("preproc_function_def init_declarator"),
    ),
    "csharp": Grammar(
        "tree_sitter_c_sharp",
        functions=_words(
            "method_declaration constructor_declaration destructor_declaration "
            "operator_declaration conversion_operator_declaration local_function_statement "
            "property_declaration indexer_declaration event_declaration"
        ),
        bodies=_words("body accessors value"),
        classes=_words(
            "class_declaration struct_declaration record_declaration interface_declaration "
            "enum_declaration"
        ),
        opaque=_words("enum_declaration"),
        long_only=_words("property_declaration indexer_declaration event_declaration"),
    ),
    "php": Grammar(
        "tree_sitter_php",
        "language_php",
        functions=_words("function_definition method_declaration"),
        bodies=_words("body"),
        classes=_words(
            "class_declaration interface_declaration trait_declaration enum_declaration"
        ),
        bindings=_words("assignment_expression"),
        values=_words("anonymous_function arrow_function anonymous_class"),
        long_only=_words("assignment_expression"),
    ),
    "ruby": Grammar(
        "tree_sitter_ruby",
        functions=_words("method singleton_method"),
        classes=_words("class module"),
        modules=_words("module"),
        bindings=_words("assignment"),
        values=_words("lambda"),
        long_only=_words("assignment"),
    ),
    "kotlin": Grammar(
        "tree_sitter_kotlin",
        functions=_words("function_declaration secondary_constructor property_declaration"),
        bodies=_words("function_body block getter setter"),
        classes=_words("class_declaration object_declaration"),
        scopes=_words("enum_entry property_declaration"),
        leading=_words("line_comment block_comment"),
        long_only=_words("property_declaration"),
    ),
    "swift": Grammar(
        "tree_sitter_swift",
        functions=_words(
            "function_declaration init_declaration deinit_declaration subscript_declaration "
            "property_declaration"
        ),
        bodies=_words("body computed_value computed_property"),
        classes=_words("class_declaration protocol_declaration"),
        opaque=_words("protocol_declaration"),
        leading=_words("comment multiline_comment"),
        long_only=_words("property_declaration"),
    ),
    "scala": Grammar(
        "tree_sitter_scala",
        functions=_words("function_definition"),
        classes=_words(
            "class_definition object_definition trait_definition enum_definition "
            "given_definition package_object"
        ),
        scopes=_words("val_definition"),
        leading=_words("comment block_comment"),
    ),
    "bash": Grammar("tree_sitter_bash", functions=_words("function_definition")),
    "lua": Grammar(
        "tree_sitter_lua",
        functions=_words("function_declaration"),
        bindings=_words("assignment_statement field"),
        values=_words("function_definition"),
        long_only=_words("field"),
    ),
    "haskell": Grammar(
        "tree_sitter_haskell",
        functions=_words("function bind signature"),
        classes=_words(
            "data_type newtype type_synonym class instance type_family pattern_synonym"
        ),
        opaque=_words("data_type newtype type_synonym class instance type_family pattern_synonym"),
        leading=_words("comment haddock pragma"),
    ),
    "elixir": Grammar("tree_sitter_elixir"),
    "zig": Grammar(
        "tree_sitter_zig",
        functions=_words("function_declaration test_declaration"),
        bodies=_words("body block"),
        bindings=_words("variable_declaration"),
        values=_words(
            "struct_declaration enum_declaration union_declaration opaque_declaration "
            "error_set_declaration"
        ),
    ),
}

# Calls that define, in a language whose definitions are macros.
ELIXIR_FUNCTIONS = _words(
    "def defp defmacro defmacrop defguard defguardp defdelegate defn defnp test"
)
ELIXIR_CLASSES = _words("defmodule defprotocol defimpl")
ELIXIR_ATTRIBUTES = _words("doc spec impl deprecated since dialyzer tag typedoc decorate")

# Children of these stand one below the other: statements, members, top-level declarations.
BLOCKS = _words(
    "block block_body body_statement case_statement chunk class_body class_declarations "
    "compilation_unit compound_statement constructor_body declaration_list declarations "
    "default_case do do_block do_group else enum_body enum_class_body enum_declaration_list "
    "expression_case field_declaration_list function_body haskell indented_block "
    "instance_declarations interface_body local_binds module program protocol_body source "
    "source_file statement_block statement_list statements struct_declaration switch_block "
    "switch_block_statement_group switch_body switch_case template_body then translation_unit "
    "when with_template_body"
)

# Words in the type of a node that heads other statements: `if_statement`, `for_in_clause`, ...
HEADERS = _words(
    "function method constructor class struct impl trait interface module namespace object "
    "if elif else unless for foreach while until loop repeat switch match case when select "
    "cond try catch except rescue finally ensure with do lambda closure arrow"
)
