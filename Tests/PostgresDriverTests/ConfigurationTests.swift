import PostgresDriver
import Testing

/// Proves which connection strings are accepted, and that neither descriptions nor errors show a password.
@Suite
struct ConfigurationTests {
  @Test(arguments: [
    "postgresql://chancery:s3cret@db.example:5433/records?sslmode=require",
    "host=/run/postgresql dbname=records password=s3cret",
    "host=a,b port=1,2 user='with space' password='s3cret \\' x'", "",
  ])
  func `accepted and described without the password`(_ text: String) throws {
    let configuration = try PostgresConfiguration(text)
    var dumped = ""
    dump(configuration, to: &dumped)
    for shown in ["\(configuration)", String(reflecting: configuration), dumped] {
      #expect(!shown.contains("s3cret"), "\(shown)")
    }
  }

  @Test func `the description names server, database and user`() throws {
    let configuration = try PostgresConfiguration("postgresql://chancery:s3cret@db.example:5433/records")
    #expect(configuration.description.contains("host=db.example"))
    #expect(configuration.description.contains("dbname=records"))
    #expect(configuration.description.contains("user=chancery"))
  }

  @Test(arguments: [
    "password=a s3cret", "postgresql://u:s3cret@h:port:x/%zz", "nonsense", "host", "unknown=s3cret", "host=a\0b",
  ])
  func `refused without quoting it`(_ text: String) async throws {
    let error = try await postgresError { try PostgresConfiguration(text) }
    #expect(error.code == .invalidConfiguration)
    #expect(!error.message.contains("s3cret"))
  }
}
