import ArgumentParser
import FoundationEssentials
import PostgresDriver
import PostgresStorage

struct DatabaseCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "db", abstract: "Create and update the schema in Postgres.", subcommands: [Migrate.self, Status.self])

  struct Migrate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Bring the schema to the version of this program.",
      discussion: "Safe to repeat, and to run from several places at once. Example: chancery db migrate")

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var context: ContextOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let url = try database.url(try context.selected())
      try await Databases.migrate(url)
      output.print(MigrationRow.rows(try await Databases.schemaStatus(url)))
    }
  }

  struct Status: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show which migrations are applied.", discussion: "Example: chancery db status -o json")

    @OptionGroup var database: DatabaseOptions
    @OptionGroup var context: ContextOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let url = try database.url(try context.selected())
      output.print(MigrationRow.rows(try await Databases.schemaStatus(url)))
    }
  }
}

/// A migration as `db status` prints it.
private struct MigrationRow: TableRow {
  var version: Int32
  var name: String
  var appliedAt: String?
  var isChanged: Bool

  enum CodingKeys: String, CodingKey {
    case version, name
    case appliedAt = "applied_at"
    case isChanged = "changed"
  }

  static func rows(_ status: SchemaStatus) -> [MigrationRow] {
    status.steps.map { step in
      MigrationRow(
        version: step.version, name: step.name,
        appliedAt: step.appliedAt?.unixMicroseconds.flatMap { Date(microseconds: $0)?.text },
        isChanged: step.isChanged)
    }
  }

  static let columns = [
    TableColumn("VERSION", isNumber: true), TableColumn("NAME"), TableColumn("APPLIED"), TableColumn("CHANGED"),
  ]

  var resourceName: String { "migration/\(version)" }

  var cells: [String] { [String(version), name, appliedAt ?? "not applied", isChanged ? "yes" : "no"] }
}
