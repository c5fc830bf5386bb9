# deploy.sh has switched on serviceusage and cloudresourcemanager, without which Terraform could not look.
resource "google_project_service" "api" {
  for_each = toset(concat([
    "artifactregistry", "cloudbuild", "cloudscheduler", "cloudtasks", "cloudtrace", "firestore", "iam", "logging", "monitoring",
    "run", "secretmanager",
  ], var.billing_account == "" ? [] : ["billingbudgets"], var.tracing ? ["telemetry"] : []))

  service = "${each.key}.googleapis.com"

  # Something else in the project may need it.
  disable_on_destroy = false
}
