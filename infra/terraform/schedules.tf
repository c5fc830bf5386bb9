resource "google_cloud_scheduler_job" "job" {
  for_each = local.jobs

  name        = each.value.service
  description = each.value.about
  region      = var.region
  schedule    = each.value.schedule
  time_zone   = "Etc/UTC"

  # A little more than the function has, so that its own answer comes first. Runs do not overlap.
  attempt_deadline = "${each.value.timeout + 10}s"

  retry_config {
    retry_count = 0 # the next run comes anyway
  }

  http_target {
    http_method = "POST"
    uri         = each.value.url

    oidc_token {
      service_account_email = google_service_account.scheduler.email
      audience              = each.value.url
    }
  }

  depends_on = [google_cloud_run_v2_service_iam_member.invoker]
}
