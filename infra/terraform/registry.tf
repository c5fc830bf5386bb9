resource "google_artifact_registry_repository" "images" {
  #checkov:skip=CKV_GCP_84:Google's own key is enough for images that are built from public code
  repository_id = local.prefix
  location      = var.region
  format        = "DOCKER"
  description   = "The image of all functions"

  cleanup_policies {
    id     = "keep-what-may-be-rolled-back-to"
    action = "KEEP"
    most_recent_versions {
      keep_count = 20
    }
  }
  cleanup_policies {
    id     = "drop-what-is-old"
    action = "DELETE"
    condition {
      older_than = "2592000s" # 30 days
    }
  }

  depends_on = [google_project_service.api]
}
