locals {
  # The settings that are secret, and whether they are in use. All are made, without a version: values never pass through
  # Terraform, whose state could be read. deploy.sh and scripts/setup matrix put them in.
  in_use = {
    AUTHENTIK_API_TOKEN       = true
    AUTHENTIK_WEBHOOK_SECRETS = true
    ADMIN_API_KEYS            = true
    MATRIX_ACCESS_TOKEN       = true
    MATRIX_SYNC_ACCESS_TOKEN  = var.matrix_sync_device
    MATRIX_DEVICE_ACCOUNT     = var.matrix_enable_encryption
    MATRIX_PICKLE_KEY         = var.matrix_enable_encryption
    MATRIX_REPLIES_KEY        = var.matrix_enable_encryption
    ASSISTANT_API_KEY         = var.assistant_url != ""
    SMTP_PASSWORD             = var.smtp_host != ""
    MATRIX_RECOVERY_KEY       = false # for set-up: no function may read it
  }
  secret_names = {
    for setting, secret in google_secret_manager_secret.secret :
    setting => "projects/${var.project_id}/secrets/${secret.secret_id}/versions/latest"
  }
  grants = merge([
    for name, function in local.deployed : { for setting in function.secrets : "${name}:${setting}" => { function = name, setting = setting } }
  ]...)
}

resource "google_secret_manager_secret" "secret" {
  for_each = local.in_use

  secret_id           = "${local.prefix}-${lower(replace(each.key, "_", "-"))}"
  version_destroy_ttl = "604800s" # a destroyed version can be had back for 7 days
  deletion_protection = true

  replication {
    user_managed {
      replicas {
        location = var.region
      }
    }
  }

  depends_on = [google_project_service.api]
}

resource "google_secret_manager_secret_iam_member" "reader" {
  for_each = local.grants

  secret_id = google_secret_manager_secret.secret[each.value.setting].id
  role      = "roles/secretmanager.secretAccessor"
  member    = google_service_account.function[each.value.function].member
}
