/// Words that have a meaning of their own in the generated languages.
enum Keywords {
  /// The words to which protoc-c appends an underscore: `kKeywordList` in its `c_helpers.cc`.
  static let cpp: Set<String> = [
    "and", "and_eq", "asm", "auto", "bitand", "bitor", "bool", "break", "case", "catch", "char", "class", "compl",
    "const", "const_cast", "continue", "default", "delete", "do", "double", "dynamic_cast", "else", "enum", "explicit",
    "extern", "false", "float", "for", "friend", "goto", "if", "inline", "int", "long", "mutable", "namespace", "new",
    "not", "not_eq", "operator", "or", "or_eq", "private", "protected", "public", "register", "reinterpret_cast",
    "return", "short", "signed", "sizeof", "static", "static_cast", "struct", "switch", "template", "this", "throw",
    "true", "try", "typedef", "typeid", "typename", "union", "unsigned", "using", "virtual", "void", "volatile",
    "wchar_t", "while", "xor", "xor_eq",
  ]

  /// The words that must stand in backticks where Swift expects a name.
  static let swift: Set<String> = [
    "Any", "Protocol", "Self", "Type", "as", "associatedtype", "await", "break", "case", "catch", "class", "continue",
    "default", "defer", "deinit", "do", "else", "enum", "extension", "fallthrough", "false", "fileprivate", "for",
    "func", "guard", "if", "import", "in", "init", "inout", "internal", "is", "let", "nil", "operator",
    "precedencegroup",
    "private", "protocol", "public", "repeat", "rethrows", "return", "self", "static", "struct", "subscript", "super",
    "switch", "throw", "throws", "true", "try", "typealias", "var", "where", "while",
  ]

  /// Types that generated code names without a module. A message of the same name would hide them.
  static let namesUsedInGeneratedCode: Set<String> = [
    "Swift", "String", "Int", "Int32", "Int64", "UInt8", "UInt32", "UInt64", "Float", "Double", "Bool", "Span", "Error",
    "Sendable", "Equatable", "Optional", "Array", "Dictionary", "UnsafePointer", "UnsafeRawPointer",
    "UnsafeMutableRawPointer", "ProtobufMessage", "ProtobufEnum", "ProtobufView", "ProtobufError", "DecodeLimits",
    "Indirect", "ArenaBytes", "ArenaList", "ArenaPointer", "CMessageConvertible", "MessageDescriptor", "MessageReader",
    "MessageWriter", "MethodDescriptor", "MethodHandler", "RPCChannel", "RPCError", "RPCReader", "RPCService",
    "RPCWriter", "CallOptions", "ServerContext", "Result", "Void",
  ]

  /// A name as it may be declared in Swift.
  static func escaped(_ name: String) -> String {
    swift.contains(name) ? "`\(name)`" : name
  }
}
