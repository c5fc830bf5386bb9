# An account per function, and two that only call: what one of them may do, no other may.

resource "google_service_account" "function" {
  for_each = local.deployed

  account_id   = each.value.service
  display_name = "Muster: ${each.key}"
  description  = each.value.about

  depends_on = [google_project_service.api]
}

resource "google_service_account" "tasks" {
  account_id   = "${local.prefix}-tasks"
  display_name = "Muster: whose token a task carries"

  depends_on = [google_project_service.api]
}

resource "google_service_account" "scheduler" {
  account_id   = "${local.prefix}-scheduler"
  display_name = "Muster: whose token a scheduled run carries"

  depends_on = [google_project_service.api]
}

locals {
  invokers  = { tasks = google_service_account.tasks.member, scheduler = google_service_account.scheduler.member }
  enqueuers = { for name, function in local.deployed : name => function if length(function.enqueues) > 0 }
  enqueuing = merge([
    for name, function in local.deployed : { for queue in function.enqueues : "${name}:${queue}" => { function = name, queue = queue } }
  ]...)
}

# ------------------------------------------------------------------ who may call

resource "google_cloud_run_v2_service_iam_member" "anybody" {
  # The page signs people in by itself, and the webhook verifies a signature: browsers and Authentik have no Google account.
  for_each = { for name, function in local.deployed : name => function if function.public }

  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = "allUsers"
}

resource "google_cloud_run_v2_service_iam_member" "invoker" {
  for_each = { for name, function in local.deployed : name => function if !function.public }

  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = local.invokers[each.value.invoker]
}

# What a schedule has begun and did not get done goes on as a task.
resource "google_cloud_run_v2_service_iam_member" "going_on" {
  for_each = { for name, function in local.jobs : name => function if function.queue != "" }

  name     = google_cloud_run_v2_service.function[each.key].name
  location = var.region
  role     = "roles/run.invoker"
  member   = google_service_account.tasks.member
}

# ------------------------------------------------------------------ what a function may do

# Firestore knows no smaller right than on a database. Reading, writing, nothing else: no index, no backup, no deletion.
resource "google_project_iam_member" "documents" {
  for_each = local.deployed

  project = var.project_id
  role    = "roles/datastore.user"
  member  = google_service_account.function[each.key].member

  condition {
    title      = "muster-database-only"
    expression = "resource.name == \"projects/${var.project_id}/databases/${var.firestore_database}\""
  }
}

# Spans are sent to the project as a whole; there is no smaller right.
resource "google_project_iam_member" "tracer" {
  for_each = var.tracing ? local.deployed : {}

  project = var.project_id
  role    = "roles/telemetry.tracesWriter"
  member  = google_service_account.function[each.key].member
}

resource "google_project_iam_member" "further" {
  for_each = merge([
    for name, function in local.deployed : { for role in function.roles : "${name}:${role}" => { function = name, role = role } }
  ]...)

  project = var.project_id
  role    = each.value.role
  member  = google_service_account.function[each.value.function].member
}

resource "google_cloud_tasks_queue_iam_member" "enqueuer" {
  for_each = local.enqueuing

  name     = google_cloud_tasks_queue.queue[each.value.queue].name
  location = var.region
  role     = "roles/cloudtasks.enqueuer"
  member   = google_service_account.function[each.value.function].member
}

# The self-check tells of a paused queue.
resource "google_cloud_tasks_queue_iam_member" "viewer" {
  for_each = local.queues

  name     = google_cloud_tasks_queue.queue[each.key].name
  location = var.region
  role     = "roles/cloudtasks.viewer"
  member   = google_service_account.function["admin"].member
}

# Whoever makes a task names the account whose token it carries, and must be allowed to.
resource "google_service_account_iam_member" "acts_as_tasks" {
  for_each = local.enqueuers

  service_account_id = google_service_account.tasks.name
  role               = "roles/iam.serviceAccountUser"
  member             = google_service_account.function[each.key].member
}
