import Testing

@testable import SchemaGeneration

// Proves that names match what protoc-c 1.4.1 generates, whose rules are odd; expected values are from its output.
@Suite struct NamingTests {
  @Test(arguments: [
    ("chancery.v1.Job", "Chancery__V1__Job", "chancery__v1__job"),
    ("chancery.v1.JobList", "Chancery__V1__JobList", "chancery__v1__job_list"),
    ("a_b.C_d.eF", "AB__CD__EF", "a_b__c_d__e_f"),
    ("p.HTTPServer", "P__HTTPServer", "p__httpserver"),
    ("p.M.LabelsEntry", "P__M__LabelsEntry", "p__m__labels_entry"),
    ("p.T.MEntry", "P__T__MEntry", "p__t__mentry"),
  ])
  func `types and functions are named as protoc-c does`(name: String, type: String, prefix: String) {
    #expect(CNames.type(name) == type)
    #expect(CNames.prefix(name) == prefix)
  }

  @Test(arguments: [("id", "id"), ("fooBar", "foobar"), ("class", "class_"), ("Default", "default_"), ("in", "in")])
  func `members are lower case and avoid C++ keywords`(field: String, member: String) {
    #expect(CNames.member(field) == member)
  }

  @Test(arguments: [("body", "body_case"), ("_deadline", "_deadline_case"), ("fooBar", "foo_bar_case")])
  func `case members`(oneof: String, member: String) {
    #expect(CNames.caseMember(oneof) == member)
  }
}
