/// A request to the admin port: its method, its path, and the pairs behind the question mark.
struct AdminRequest: Sendable {
  let method: String
  let path: String
  private let query: [(name: String, value: String)]

  /// Takes a request's target apart. Nothing is decoded: what there is to ask for has plain names.
  init(method: String, uri: String) {
    self.method = method
    let parts = uri.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
    path = String(parts[0])
    query = (parts.count < 2 ? "" : parts[1]).split(separator: "&").map { pair in
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      return (String(parts[0]), parts.count < 2 ? "" : String(parts[1]))
    }
  }

  /// Whether a pair of this name is there.
  func has(_ name: String) -> Bool { query.contains { $0.name == name } }

  /// The values under a name.
  func values(_ name: String) -> [String] { query.filter { $0.name == name }.map(\.value) }
}

/// What the admin port answers.
struct AdminResponse: Sendable, Hashable {
  /// The status code of HTTP.
  var status: Int
  var contentType = "text/plain; charset=utf-8"
  var body: String
}
