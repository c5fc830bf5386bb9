locals {
  # Each list is held against the code by a test: QUERIES, GROUP_FIELDS, EXPIRING and UNASKED of shared/repositories.py. "-": descending.
  queries = {
    invites     = [["closed", "expires_at"], ["closed", "-created_at"]]
    onboardings = [["state", "-created_at"]]
    jobs        = [["state", "-created_at"], ["part_of", "-created_at"], ["part_of", "state", "-created_at"], ["target", "-created_at"]]
    indoc       = [["state", "-created_at"]]
    audit       = [["target", "-at"], ["actor", "-at"], ["action", "-at"], ["outcome", "-at"]]
    letters     = [["matrix_id", "-created_at"], ["room_id", "-created_at"]]
    replies     = [["matrix_id", "-at"]]
    sent        = [["matrix_id", "-at"]]
    steps       = [["state", "updated_at"]]
  }
  group_fields = { steps = ["due_at", "matrix_id", "state", "waits_for"] }
  expiring     = ["leases", "lines", "permits", "plans", "proactive", "replies", "room_keys", "sent", "suggestions", "to_device"]
  unasked      = { cache = ["packed"], lines = ["packed"], syncs = ["progress", "shards"] } # UNASKED

  indexes = merge([
    for collection, queries in local.queries :
    { for fields in queries : "${collection}:${join(",", fields)}" => { collection = collection, fields = fields } }
  ]...)
}

resource "google_firestore_database" "muster" {
  name        = var.firestore_database
  location_id = var.firestore_location != "" ? var.firestore_location : var.region
  type        = "FIRESTORE_NATIVE"

  app_engine_integration_mode       = "DISABLED"
  point_in_time_recovery_enablement = "POINT_IN_TIME_RECOVERY_ENABLED"
  delete_protection_state           = "DELETE_PROTECTION_ENABLED"
  deletion_policy                   = "ABANDON" # not even terraform destroy

  depends_on = [google_project_service.api]
}

resource "google_firestore_backup_schedule" "daily" {
  database  = google_firestore_database.muster.name
  retention = "${var.backup_retention_days * 86400}s"

  daily_recurrence {}
}

resource "google_firestore_index" "query" {
  for_each = local.indexes

  database   = google_firestore_database.muster.name
  collection = each.value.collection

  dynamic "fields" {
    for_each = each.value.fields
    content {
      field_path = trimprefix(fields.value, "-")
      order      = startswith(fields.value, "-") ? "DESCENDING" : "ASCENDING"
    }
  }
}

# Asked for across all collections of a name. Saying so replaces what Firestore indexes by itself, which is said again.
resource "google_firestore_field" "group" {
  for_each = merge([
    for collection, fields in local.group_fields : { for field in fields : "${collection}:${field}" => { collection = collection, field = field } }
  ]...)

  database   = google_firestore_database.muster.name
  collection = each.value.collection
  field      = each.value.field

  index_config {
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION"
    }
    indexes {
      order       = "DESCENDING"
      query_scope = "COLLECTION"
    }
    indexes {
      order       = "ASCENDING"
      query_scope = "COLLECTION_GROUP"
    }
  }
}

# Nobody asks for what is packed, and an index would hold all of it once more (and takes no more than 1,500 bytes of it).
resource "google_firestore_field" "unasked" {
  for_each = merge([
    for collection, fields in local.unasked : { for field in fields : "${collection}:${field}" => { collection = collection, field = field } }
  ]...)

  database   = google_firestore_database.muster.name
  collection = each.value.collection
  field      = each.value.field

  index_config {}
}

# Swept away within a day of `expire_at`. Nobody asks for that field: an index on it would only slow the writes down.
resource "google_firestore_field" "expiry" {
  for_each = toset(local.expiring)

  database   = google_firestore_database.muster.name
  collection = each.key
  field      = "expire_at"

  index_config {}
  ttl_config {}
}
