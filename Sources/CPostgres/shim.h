// libpq, the C client library of PostgreSQL (package libpq-dev, 14 or newer: pipeline mode).
#ifndef CHANCERY_CPOSTGRES_H
#define CHANCERY_CPOSTGRES_H

#include <libpq-fe.h>

// The codes of PQresultErrorField are character literals behind macros, which Swift does not import.
static const int chancery_pg_severity = 'V';  // PG_DIAG_SEVERITY_NONLOCALIZED
static const int chancery_pg_sqlstate = 'C';  // PG_DIAG_SQLSTATE
static const int chancery_pg_message = 'M';   // PG_DIAG_MESSAGE_PRIMARY
static const int chancery_pg_hint = 'H';      // PG_DIAG_MESSAGE_HINT
static const int chancery_pg_schema = 's';    // PG_DIAG_SCHEMA_NAME
static const int chancery_pg_table = 't';     // PG_DIAG_TABLE_NAME
static const int chancery_pg_column = 'c';    // PG_DIAG_COLUMN_NAME
static const int chancery_pg_constraint = 'n';  // PG_DIAG_CONSTRAINT_NAME

#endif
