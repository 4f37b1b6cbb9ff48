/// The names that protoc-c 1.4.1 gives to what it generates; see `c_helpers.cc` in its source.
enum CNames {
  /// The C type of a message or enum with this full name: `chancery.v1.Job` is `Chancery__V1__Job`.
  static func type(_ fullName: String) -> String {
    pieces(fullName).map(camel).joined(separator: "__")
  }

  /// The prefix of a message's functions and variables: `chancery.v1.JobList` is `chancery__v1__job_list`.
  static func prefix(_ fullName: String) -> String {
    pieces(fullName).map(lower).joined(separator: "__")
  }

  /// The struct member of a field.
  static func member(_ fieldName: String) -> String {
    let name = fieldName.lowercased()
    return Keywords.cpp.contains(name) ? name + "_" : name
  }

  /// The struct member that tells which field of a oneof is set.
  static func caseMember(_ oneofName: String) -> String {
    lower(oneofName) + "_case"
  }

  private static func pieces(_ fullName: String) -> [String] {
    fullName.split(separator: ".").map(String.init)
  }

  /// `CamelToLower`: an underscore before each upper-case letter that follows a lower-case one.
  private static func lower(_ name: String) -> String {
    var result = ""
    var wasUpper = true
    for character in name {
      if character.isUppercase, !wasUpper { result.append("_") }
      wasUpper = character.isUppercase
      result += character.lowercased()
    }
    return result
  }

  /// `ToCamel`: underscores go, and the letter after each becomes upper case.
  private static func camel(_ name: String) -> String {
    var result = ""
    var nextIsUpper = true
    for character in name {
      if character == "_" {
        nextIsUpper = true
      } else {
        result += nextIsUpper ? character.uppercased() : String(character)
        nextIsUpper = false
      }
    }
    return result
  }
}
