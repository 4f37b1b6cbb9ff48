import ArgumentParser
import Domain
import PostgresStorage
import Schema
import Storage
import Translation

struct SourcesCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sources", abstract: "Sign existing tables and views in place.", subcommands: [Add.self, List.self])

  struct Add: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Map an existing table or view, so that jobs can sign it in place.",
      discussion: """
        Names are as SQL writes them. Ids are bigint, payloads bytea, text or varchar. In a table, ids need a unique index, and \
        neither column allows NULL; the rows of a view are read once to see that it is so. The database is written to with the \
        rights of the schema's owner, as by 'db migrate'; the coordinator's role must be allowed to read what is mapped. \
        Example: chancery sources add invoices --table billing.invoices --id-column id --payload-column body
        """)

    @Argument(help: "What to call it: up to 63 of a-z, 0-9, _, . and -, beginning with a letter.") var name: String
    @Option(help: "The table or view, with its schema.") var table: String
    @Option(help: "The column of ids.") var idColumn = "id"
    @Option(help: "The column of payloads.") var payloadColumn = "payload"
    @OptionGroup var database: DatabaseOptions
    @OptionGroup var context: ContextOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let url = try database.url(try context.selected())
      let source = try await Databases.with(url) { database in
        try await database.addSource(
          named: name, relation: table, idColumn: idColumn, payloadColumn: payloadColumn)
      }
      output.print(SourceRow(source.message))
    }
  }

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show where records live.", discussion: "Example: chancery sources list -o json")

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func run() async throws {
      let response = try await connection.with(.coordinator) { channel in
        try await ChanceryV1.Records.Client(channel).listSources(.init(), options: connection.call)
      }
      output.print(response.sources.map(SourceRow.init))
    }
  }
}

/// A source as commands print it.
private struct SourceRow: TableRow {
  var name: String
  var relation: String
  var idColumn: String
  var payloadColumn: String
  var payloadType: String

  enum CodingKeys: String, CodingKey {
    case name, relation
    case idColumn = "id_column"
    case payloadColumn = "payload_column"
    case payloadType = "payload_type"
  }

  init(_ source: ChanceryV1.Source) {
    name = source.name
    relation = source.relation
    idColumn = source.idColumn
    payloadColumn = source.payloadColumn
    payloadType = "\(source.payloadType)"
  }

  static let columns = [
    TableColumn("SOURCE"), TableColumn("TABLE OR VIEW"), TableColumn("IDS"), TableColumn("PAYLOADS"),
    TableColumn("TYPE"),
  ]

  var resourceName: String { "source/\(name)" }

  var cells: [String] { [name, relation, idColumn, payloadColumn, payloadType] }
}
