/// Jobs keep the trace that they were submitted in.
enum JobTraces {
  static let migration = Migration(
    version: 5, name: "traces of jobs",
    sql: """
      -- The headers of W3C Trace Context; null in a job that was submitted without.
      ALTER TABLE chancery.jobs
        ADD COLUMN traceparent text CHECK (length(traceparent) = 55),
        ADD COLUMN tracestate text CHECK (octet_length(tracestate) <= 512);
      """)
}
