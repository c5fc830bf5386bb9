resource "google_cloud_run_v2_service" "function" {
  for_each = local.deployed

  name        = each.value.service
  location    = var.region
  description = each.value.about
  ingress     = each.value.public ? "INGRESS_TRAFFIC_ALL" : "INGRESS_TRAFFIC_INTERNAL_ONLY"

  # The audience of the tokens that tasks and schedules carry: their URL, by the same template.
  custom_audiences = [each.value.url]

  # It keeps nothing. What must not be lost is protected where it is: the database and the secrets.
  deletion_protection = false

  template {
    service_account                  = google_service_account.function[each.key].email
    timeout                          = "${each.value.timeout}s"
    max_instance_request_concurrency = each.value.concurrency

    scaling {
      min_instance_count = 0
      max_instance_count = each.value.max
    }

    containers {
      image = var.image

      ports {
        container_port = 8080
      }

      resources {
        limits            = { cpu = "1", memory = each.value.memory } # less than one CPU serves one request at a time
        cpu_idle          = true
        startup_cpu_boost = true
      }

      dynamic "env" {
        for_each = local.environment[each.key]
        content {
          name  = env.key
          value = env.value
        }
      }
    }
  }

  lifecycle {
    precondition {
      condition     = length("${each.value.service}-${data.google_project.this.number}") <= 63
      error_message = "${each.value.service} is too long a name: Cloud Run would give it no predictable address."
    }
  }

  depends_on = [
    google_project_service.api,
    google_project_iam_member.documents,
    google_secret_manager_secret_iam_member.reader,
  ]
}

locals {
  # Secrets go by their names: each is read through Secret Manager by whoever may, and anew after a while, so that a new
  # version needs no deployment. The keys of encryption do not exist before scripts/setup matrix.
  environment = {
    for name, function in local.deployed : name => {
      for key, value in merge(
        local.settings,
        { for secret in concat(function.secrets, function.named) : secret => local.secret_names[secret] if local.in_use[secret] },
        { FUNCTION_TARGET = name },
      ) : key => value if value != ""
    }
  }
}
