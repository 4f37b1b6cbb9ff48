/// Entries of the audit log are written with a statement that each session plans once.
enum AuditPlans {
  static let migration = Migration(
    version: 6, name: "plans of the audit log",
    sql: """
      -- What it does is what it did. In SQL it was parsed and planned anew for every entry, which took ten times as long as
      -- to write the entry.
      CREATE OR REPLACE FUNCTION chancery.note_audit(event text, particulars jsonb) RETURNS void
      LANGUAGE plpgsql VOLATILE AS $$
      BEGIN
        INSERT INTO chancery.audit_pending (entry) VALUES (
          (jsonb_build_object(
            'at', to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            'event', event, 'role', session_user) || jsonb_strip_nulls(particulars))::text);
      END $$;
      """)
}
